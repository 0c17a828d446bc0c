use std::time::Instant;

use ashya_protocol::DetectedObject;
use tracing::{debug, warn};

use crate::capture::Captured;
use crate::detect::{Candidate, Confidence, DetectError, Detector, Filter, Overlap, Size};
use crate::eye::attention::Glance;
use crate::eye::follower::{Followed, Follower};
use crate::eye::gate::Gate;
use crate::eye::publisher::Publisher;
use crate::eye::search::Search;
use crate::fractions::detected;
use crate::latest::Latest;
use crate::looked::Looked;
use crate::motion::Motion;
use crate::privacy::{PrivacyMasks, View};
use crate::track::TrackId;
use crate::uplink::{Parcel, Uplink};
use crate::voice::Signed;

/// Failures of the model in a row after which it is given up: enough for a passing lack of memory, and a new start is what
/// may mend the rest.
pub(super) const MAX_FAILURES: u32 = 10;

/// The stages between a captured picture and signed events, each after the other.
pub(super) struct Looker {
    pub(super) masks: PrivacyMasks,
    /// Every picture is looked at where there is none.
    pub(super) gate: Option<Gate>,
    pub(super) search: Search,
    pub(super) detector: Detector,
    pub(super) filter: Filter,
    /// Objects have no numbers where there is none.
    pub(super) follower: Option<Follower>,
    pub(super) publisher: Publisher,
    pub(super) looked: Looked,
    /// What was seen last, which stands while nothing moves.
    pub(super) seen: Vec<DetectedObject>,
    /// Failures of the model in a row.
    pub(super) failures: u32,
}

impl Looker {
    /// Looks at the latest picture, and then at the next, until no more come or nobody listens.
    ///
    /// # Errors
    /// When the model has failed too often in a row.
    pub(super) fn run(
        &mut self,
        latest: &Latest<Captured>,
        uplink: &Uplink,
    ) -> Result<(), DetectError> {
        while let Some(captured) = latest.take() {
            if let Some(parcel) = self.look(captured)?
                && uplink.send_blocking(parcel).is_err()
            {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn look(&mut self, captured: Captured) -> Result<Option<Parcel>, DetectError> {
        let now = Instant::now();
        self.looked.frame();
        let view = self.masks.burn(captured.time_us, captured.picture);
        let (motion, glance) = match &mut self.gate {
            Some(gate) => gate.glance(view.picture(), now),
            None => (Motion::Changed, Glance::Whole),
        };
        let events = match glance {
            Glance::Pass | Glance::Restate => self.rest(&view, now),
            Glance::Whole | Glance::Parts => match self.see(&view, (&motion, glance), now) {
                Ok(events) => {
                    self.failures = 0;
                    events
                }
                Err(error) => return self.fail(error).map(|()| None),
            },
        };
        let seen = match glance {
            Glance::Pass => None,
            _ => self.publisher.publish(&view, &self.seen, now),
        };
        if seen.is_none() && events.is_empty() {
            return Ok(None);
        }
        let mut parcel = seen.unwrap_or_default();
        parcel.events.extend(events);
        Ok(Some(parcel))
    }

    /// Counts a failure of the model, which costs a picture; the last one that is allowed is given back.
    fn fail(&mut self, error: DetectError) -> Result<(), DetectError> {
        self.looked.failure();
        self.failures += 1;
        match self.failures {
            MAX_FAILURES.. => return Err(error),
            1 => warn!(%error, "picture skipped"),
            _ => debug!(%error, "picture skipped"),
        }
        Ok(())
    }

    /// Looks at a view and keeps what is reported of it: all objects that are there, those included that only stand where
    /// no region was looked at. Returns what is to be told of those that are followed.
    fn see(
        &mut self,
        view: &View,
        (motion, glance): (&Motion, Glance),
        now: Instant,
    ) -> Result<Vec<Signed>, DetectError> {
        let (picture, input) = (view.picture(), self.detector.input());
        let floor = self.floor();
        let found = self.search.look(picture, (motion, glance), input, |part| {
            let started = Instant::now();
            let found = self.detector.detect(part, floor, Overlap::CALM)?;
            self.looked.run(started.elapsed());
            Ok(found)
        })?;
        let size = Size::of(picture);
        let suited = found
            .iter()
            .filter(|object| self.filter.suits(object, size));
        let found: Vec<Candidate> = suited.copied().collect();
        let label = |class| self.detector.label(class).to_owned();
        let Followed { tracks, events } = match &mut self.follower {
            Some(follower) => follower.look(view, &found, label, now),
            None => Followed::nothing(&found),
        };
        let reported = found.iter().zip(tracks);
        let reported = reported.filter(|(object, _)| self.filter.admits(object, size));
        self.seen = reported
            .map(|(object, track)| DetectedObject {
                track: track.map(TrackId::get),
                ..detected(object, self.detector.label(object.class), picture)
            })
            .collect();
        Ok(events)
    }

    /// What is to be told of those that are followed when nobody looked, because nothing moved.
    fn rest(&mut self, view: &View, now: Instant) -> Vec<Signed> {
        let rest = |follower: &mut Follower| follower.rest(view, now);
        self.follower.as_mut().map(rest).unwrap_or_default()
    }

    /// The score that the model looks down to.
    fn floor(&self) -> Confidence {
        let (reported, followed) = (
            self.filter.floor(),
            self.follower.as_ref().map(Follower::floor),
        );
        match followed {
            Some(followed) if followed < reported => followed,
            _ => reported,
        }
    }
}
