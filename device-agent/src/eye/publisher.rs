use std::time::{Duration, Instant};

use ashya_protocol::{DetectedObject, Detections, ModelInfo, StreamName};
use tracing::warn;

use crate::causes::causes;
use crate::config::FramesConfig;
use crate::demand::Demand;
use crate::eye::derived::Derived;
use crate::eye::frames::Frames;
use crate::privacy::View;
use crate::uplink::Parcel;
use crate::voice::{Draft, Signed, Voice, VoiceError};

/// Signs what is seen, once for each stream that is to hear of it.
pub(super) struct Publisher {
    voice: Voice,
    demand: Demand,
    model: ModelInfo,
    frames: Frames,
    derived: Vec<Derived>,
}

impl Publisher {
    /// `interval` is the time between two captured pictures.
    pub(super) fn new(
        voice: Voice,
        demand: Demand,
        model: ModelInfo,
        (frames, interval): (FramesConfig, Duration),
        derived: Vec<Derived>,
    ) -> Self {
        Self {
            voice,
            demand,
            model,
            frames: Frames::new(frames, interval),
            derived,
        }
    }

    /// The events that tell what is seen in a view, with its picture where somebody watches; `None` when they cannot
    /// be signed.
    pub(super) fn publish(
        &mut self,
        view: &View,
        objects: &[DetectedObject],
        now: Instant,
    ) -> Option<Parcel> {
        let frame = if self.demand.wants(StreamName::FRAMES) && self.frames.is_due(now) {
            self.frame(view)
        } else {
            None
        };
        let (width, height) = (view.picture().width(), view.picture().height());
        let mut seen = Detections {
            model: self.model.clone(),
            picture: ashya_protocol::Picture {
                width,
                height,
                seq: frame.as_ref().map(Draft::seq),
            },
            objects: objects.to_vec(),
        };
        let skipped = |error: &VoiceError| warn!(error = %causes(error), "detections skipped");
        let time_us = view.time_us();
        let detections = self
            .voice
            .detections(StreamName::DETECTIONS, time_us, &seen)
            .inspect_err(skipped)
            .ok()?;
        let mut events = vec![detections];
        for derived in &mut self.derived {
            seen.objects = derived.select(objects);
            let watched = self.demand.wants(derived.name());
            if derived.is_due(&seen.objects, watched, now) {
                let event = self.voice.detections(derived.name(), time_us, &seen);
                events.extend(event.inspect_err(skipped));
            }
        }
        // Only now is the picture sure to be published, and its number used up.
        let picture = frame.map(|draft| self.show(draft, now));
        Some(Parcel {
            picture,
            events,
            receipt: None,
        })
    }

    fn frame(&self, view: &View) -> Option<Draft> {
        let jpeg = self
            .frames
            .jpeg(view.picture())
            .inspect_err(|error| warn!(%error, "picture not published"))
            .ok()?;
        self.voice
            .frame(view.time_us(), jpeg)
            .inspect_err(|error| warn!(error = %causes(error), "picture not published"))
            .ok()
    }

    fn show(&mut self, draft: Draft, now: Instant) -> Signed {
        self.frames.published(now);
        self.voice.commit(draft)
    }
}
