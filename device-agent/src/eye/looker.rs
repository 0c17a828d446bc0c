use std::time::Instant;

use ashya_protocol::DetectedObject;
use tracing::warn;

use crate::capture::Captured;
use crate::detect::{DetectError, Detector, Filter, Overlap, Size};
use crate::eye::Sight;
use crate::eye::attention::Glance;
use crate::eye::gate::Gate;
use crate::eye::publisher::Publisher;
use crate::eye::search::Search;
use crate::latest::Latest;
use crate::motion::Motion;
use crate::privacy::{PrivacyMasks, View};
use crate::uplink::Uplink;
use crate::voice::detected;

/// The stages between a captured picture and signed events, each after the other.
pub(super) struct Looker {
    pub(super) masks: PrivacyMasks,
    /// Every picture is looked at where there is none.
    pub(super) gate: Option<Gate>,
    pub(super) search: Search,
    pub(super) detector: Detector,
    pub(super) filter: Filter,
    pub(super) publisher: Publisher,
    /// What was seen last, which stands while nothing moves.
    pub(super) seen: Vec<DetectedObject>,
}

impl Looker {
    /// Looks at the latest picture, and then at the next, until no more come or nobody listens.
    pub(super) fn run(&mut self, latest: &Latest<Captured>, uplink: &Uplink) {
        while let Some(captured) = latest.take() {
            if let Some(sight) = self.look(captured)
                && uplink.send_blocking(sight).is_err()
            {
                return;
            }
        }
    }

    fn look(&mut self, captured: Captured) -> Option<Sight> {
        let now = Instant::now();
        let view = self.masks.burn(captured.time_us, captured.picture);
        let (motion, glance) = match &mut self.gate {
            Some(gate) => gate.glance(view.picture(), now),
            None => (Motion::Changed, Glance::Whole),
        };
        match glance {
            Glance::Pass => return None,
            Glance::Restate => {}
            Glance::Whole | Glance::Parts => {
                self.seen = self
                    .see(&view, &motion, glance)
                    .inspect_err(|error| warn!(%error, "picture skipped"))
                    .ok()?;
            }
        }
        self.publisher.publish(&view, &self.seen, now)
    }

    /// What is in a view now: all objects that are there, those included that only stand where no region was looked at.
    fn see(
        &mut self,
        view: &View,
        motion: &Motion,
        glance: Glance,
    ) -> Result<Vec<DetectedObject>, DetectError> {
        let (picture, input) = (view.picture(), self.detector.input());
        let found = self.search.look(picture, (motion, glance), input, |part| {
            self.detector
                .detect(part, self.filter.floor(), Overlap::CALM)
        })?;
        let size = Size::of(picture);
        let objects = found
            .iter()
            .filter(|object| self.filter.admits(object, size))
            .map(|object| detected(object, self.detector.label(object.class), picture));
        Ok(objects.collect())
    }
}
