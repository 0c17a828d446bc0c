//! The threads that look: one takes frames, one runs the model, signs and hands on.
//!
//! ```text
//!  source ─capture─► latest frame ─look─► bounded queue ─► link
//! ```
//!
//! A slow model sees fewer frames, never older ones.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::capture::{Capture, CaptureError, Captured};
use crate::causes::causes;
use crate::config::{FramesConfig, SourceConfig};
use crate::demand::Demand;
use crate::detect::{Detector, Filter, Overlap, Size};
use crate::latest::Latest;
use crate::source::SourceCounters;
use crate::uplink::{Parcel, Uplink};
use crate::voice::{Draft, Signed, Voice, detected};

/// How to look.
#[derive(Debug, Clone)]
pub(crate) struct Gaze {
    pub(crate) source: SourceConfig,
    pub(crate) frames: FramesConfig,
    pub(crate) filter: Filter,
}

/// What the eye hands on.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The picture; worth sending only at once.
    pub(crate) frame: Option<Signed>,
    /// What must arrive, in order.
    pub(crate) events: Vec<Signed>,
}

impl From<Sight> for Parcel {
    fn from(sight: Sight) -> Self {
        Self {
            picture: sight.frame,
            events: sight.events,
        }
    }
}

/// The running threads.
pub(crate) struct Eye {
    capture: Capture,
    look: JoinHandle<()>,
}

impl Eye {
    /// Starts to look, and hands what it sees to `uplink` until `stop`.
    ///
    /// # Errors
    /// When the source cannot be opened or a thread not started.
    pub(crate) fn open(
        gaze: Gaze,
        detector: Detector,
        voice: Voice,
        demand: Demand,
        uplink: Uplink,
        stop: CancellationToken,
    ) -> Result<Self, EyeError> {
        let capture = Capture::start(gaze.source.clone(), stop)?;
        let take = capture.latest();
        let look = thread::Builder::new()
            .name("look".into())
            .spawn(move || {
                Looker {
                    gaze,
                    detector,
                    voice,
                    demand,
                    shown: None,
                }
                .run(&take, &uplink);
                take.close();
            })
            .map_err(EyeError::Thread)?;
        Ok(Self { capture, look })
    }

    /// What happened to the source so far.
    pub(crate) fn source_counters(&self) -> SourceCounters {
        self.capture.counters()
    }

    /// Waits until both threads have ended; blocks.
    pub(crate) fn join(self) {
        self.capture.join();
        if self.look.join().is_err() {
            warn!("a thread of the eye panicked");
        }
    }
}

/// Why the eye does not open.
#[derive(Debug, thiserror::Error)]
pub enum EyeError {
    /// The source yields nothing.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

struct Looker {
    gaze: Gaze,
    detector: Detector,
    voice: Voice,
    demand: Demand,
    /// When a picture was last published.
    shown: Option<Instant>,
}

impl Looker {
    fn run(&mut self, latest: &Latest<Captured>, uplink: &Uplink) {
        while let Some(captured) = latest.take() {
            if let Some(sight) = self.look(&captured)
                && uplink.send_blocking(sight).is_err()
            {
                return;
            }
        }
    }

    /// Finds the objects and signs them, with the picture where somebody watches it.
    fn look(&mut self, captured: &Captured) -> Option<Sight> {
        let Captured { time_us, picture } = captured;
        let found = self
            .detector
            .detect(picture, self.gaze.filter.floor(), Overlap::CALM)
            .inspect_err(|error| warn!(%error, "picture skipped"))
            .ok()?;
        let size = Size::of(picture);
        let objects = found
            .iter()
            .filter(|object| self.gaze.filter.admits(object, size))
            .map(|object| detected(object, self.detector.label(object.class), picture))
            .collect();
        let frame = if self.frame_is_due() {
            self.frame(captured)
        } else {
            None
        };
        let info = self.detector.info();
        let detections = self
            .voice
            .detections(*time_us, info, picture, frame.as_ref(), objects)
            .inspect_err(|error| warn!(error = %causes(error), "detections skipped"))
            .ok()?;
        // Only now is the picture sure to be published, and its number used up.
        let frame = frame.map(|draft| {
            self.shown = Some(Instant::now());
            self.voice.commit(draft)
        });
        Some(Sight {
            frame,
            events: vec![detections],
        })
    }

    fn frame(&self, captured: &Captured) -> Option<Draft> {
        let jpeg = captured
            .picture
            .to_jpeg(self.gaze.frames.quality)
            .inspect_err(|error| warn!(%error, "picture not published"))
            .ok()?;
        self.voice
            .frame(captured.time_us, jpeg)
            .inspect_err(|error| warn!(error = %causes(error), "picture not published"))
            .ok()
    }

    fn frame_is_due(&self) -> bool {
        // Half a frame of slack, or a picture that comes a moment early would wait for the next.
        let rest = self
            .gaze
            .frames
            .interval
            .saturating_sub(self.gaze.source.interval / 2);
        self.demand.wants_frames() && self.shown.is_none_or(|shown| shown.elapsed() >= rest)
    }
}
