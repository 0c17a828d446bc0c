use std::time::Instant;

use ashya_protocol::{BoundingBox, ContentType, ObjectChange, ObjectEvent, StreamName, TimeUs};
use tracing::warn;

use crate::causes::causes;
use crate::config::{FirstSnapshot, SnapshotsConfig, SnapshotsWhen, TrackingConfig};
use crate::demand::Demand;
use crate::detect::{Candidate, Confidence, Filter, Size};
use crate::fractions::fractions;
use crate::looked::Looked;
use crate::objects::{Moment, Objects, Sighting, Snapshot, Snapshots};
use crate::privacy::View;
use crate::track::{TrackId, Tracker, TrackerOptionsError, Update};
use crate::voice::{Signed, Voice, VoiceError};

/// Follows what is found from look to look, and tells what becomes of it.
pub(super) struct Follower {
    tracker: Tracker,
    floor: Confidence,
    objects: Objects,
    snapshots: Snapshots,
    config: SnapshotsConfig,
    voice: Voice,
    demand: Demand,
    /// What the tracker's clock counts from.
    start: Instant,
    /// Of the last picture.
    size: Option<Size>,
}

/// What a look says about the objects.
pub(super) struct Followed {
    /// The number of each candidate that is an object.
    pub(super) tracks: Vec<Option<TrackId>>,
    pub(super) events: Vec<Signed>,
}

impl Follower {
    /// # Errors
    /// When the tracker's options make no sense.
    pub(super) fn new(
        config: TrackingConfig,
        filter: &Filter,
        voice: Voice,
        demand: Demand,
        looked: Looked,
    ) -> Result<Self, TrackerOptionsError> {
        let unsure = Confidence::try_from(config.options.unsure);
        Ok(Self {
            floor: unsure.map_err(|_| TrackerOptionsError::Range("unsure"))?,
            tracker: Tracker::new(config.options)?.with_scores(filter.scores()),
            objects: Objects::new(config.rules, config.zones),
            snapshots: Snapshots::new(looked),
            config: config.snapshots,
            voice,
            demand,
            start: Instant::now(),
            size: None,
        })
    }

    /// The score down to which boxes carry on what is followed.
    pub(super) const fn floor(&self) -> Confidence {
        self.floor
    }

    /// Takes what was found in a view; `label` names a class.
    pub(super) fn look(
        &mut self,
        view: &View,
        found: &[Candidate],
        label: impl Fn(u32) -> String,
        now: Instant,
    ) -> Followed {
        let moment = self.moment(view, now);
        let size = Size::of(view.picture());
        let mut gone = Vec::new();
        // In a picture of another size nothing is where it was.
        if self.size.replace(size).is_some_and(|before| before != size) {
            gone = self.tracker.reset();
        }
        let update = self.tracker.update(moment.time, found);
        gone.extend(&update.gone);
        if self.wants_snapshots() {
            self.offer(view, found, &update);
        }
        let labels: Vec<String> = found.iter().map(|object| label(object.class)).collect();
        let mut tracks = vec![None; found.len()];
        let mut sightings = Vec::with_capacity(update.seen.len());
        for tracked in &update.seen {
            tracks[tracked.candidate] = Some(tracked.id);
            let Candidate {
                bounds,
                score,
                class,
            } = found[tracked.candidate];
            let BoundingBox(bounds) = fractions(&bounds, view.picture());
            let BoundingBox(calm) = fractions(&tracked.bounds, view.picture());
            sightings.push(Sighting {
                id: tracked.id,
                label: &labels[tracked.candidate],
                class,
                score,
                bounds,
                calm,
                age: tracked.age,
            });
        }
        let events = self.objects.update(moment, &sightings, &gone);
        Followed {
            tracks,
            events: self.tell(moment.time_us, events),
        }
    }

    /// Takes a view in which nothing has moved, so that nobody looked.
    pub(super) fn rest(&mut self, view: &View, now: Instant) -> Vec<Signed> {
        let moment = self.moment(view, now);
        let gone = self.tracker.rest(moment.time);
        let events = self.objects.rest(moment, &gone);
        self.tell(moment.time_us, events)
    }

    fn moment(&self, view: &View, now: Instant) -> Moment {
        Moment {
            time: now.saturating_duration_since(self.start),
            time_us: view.time_us(),
        }
    }

    fn wants_snapshots(&self) -> bool {
        self.config.when == SnapshotsWhen::Always || self.demand.wants(StreamName::SNAPSHOTS)
    }

    fn offer(&mut self, view: &View, found: &[Candidate], update: &Update) {
        let picture = (view.picture(), view.time_us());
        for tracked in &update.seen {
            let Candidate { bounds, score, .. } = &found[tracked.candidate];
            let offered =
                self.snapshots
                    .offer(tracked.id, picture, (bounds, *score), self.config.quality);
            if let Err(error) = offered {
                warn!(%error, "no snapshot");
            }
        }
    }

    /// Signs events, each after the snapshot that it names.
    fn tell(&mut self, time_us: TimeUs, events: Vec<ObjectEvent>) -> Vec<Signed> {
        let mut signed = Vec::with_capacity(events.len());
        for mut event in events {
            let snapshot = self.snapshot(&event).and_then(|snapshot| {
                let sign = self.voice.sign(
                    StreamName::SNAPSHOTS,
                    ContentType::JPEG,
                    snapshot.time_us,
                    snapshot.jpeg,
                );
                sign.inspect_err(|error| warn!(error = %causes(error), "snapshot skipped"))
                    .ok()
            });
            event.snapshot = snapshot.as_ref().map(|snapshot| snapshot.seq);
            signed.extend(snapshot);
            let object = self
                .sign(time_us, &event)
                .inspect_err(|error| warn!(error = %causes(error), "object event skipped"));
            signed.extend(object);
        }
        signed
    }

    fn sign(&self, time_us: TimeUs, event: &ObjectEvent) -> Result<Signed, VoiceError> {
        let payload = serde_json::to_vec(event)?;
        self.voice
            .sign(StreamName::OBJECTS, ContentType::JSON, time_us, payload)
    }

    /// The picture that goes with an event, if one does.
    fn snapshot(&mut self, event: &ObjectEvent) -> Option<Snapshot> {
        let id = TrackId::new(event.id);
        let snapshot = match event.change {
            ObjectChange::New if self.config.first == FirstSnapshot::WhenNew => {
                self.snapshots.best(id).cloned()
            }
            ObjectChange::New | ObjectChange::Update => None,
            ObjectChange::End => self.snapshots.take(id),
        };
        // Nobody may be watching any more.
        snapshot.filter(|_| self.wants_snapshots())
    }
}

impl Followed {
    /// What is found is no object of which anything is known.
    pub(super) fn nothing(found: &[Candidate]) -> Self {
        Self {
            tracks: vec![None; found.len()],
            events: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
