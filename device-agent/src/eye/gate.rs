use std::time::{Duration, Instant};

use crate::config::{MasksConfig, MotionConfig, RegionsConfig};
use crate::eye::attention::{Attention, Glance, Pace};
use crate::motion::{Motion, MotionDetector, Sensitivity};
use crate::picture::Picture;

/// Time between two looks at the whole of a large picture where no regions are looked at: never, each is one.
const NO_REGIONS: Duration = Duration::MAX;

/// Lets through the pictures that are worth a look.
#[derive(Debug)]
pub(super) struct Gate {
    motion: MotionDetector,
    attention: Attention,
}

impl Gate {
    pub(super) fn new(
        motion: &MotionConfig,
        masks: &MasksConfig,
        regions: Option<&RegionsConfig>,
    ) -> Self {
        Self {
            motion: MotionDetector::new(Sensitivity {
                threshold: motion.threshold,
                min_area: motion.min_area,
                light_change: motion.light_change,
                adaptation: motion.adaptation,
                ignored: masks.motion.clone(),
            }),
            attention: Attention::new(Pace {
                still: motion.still,
                recheck: motion.recheck,
                whole: regions.map_or(NO_REGIONS, |regions| regions.whole),
            }),
        }
    }

    /// What moves in a picture, and what the picture is worth.
    pub(super) fn glance(&mut self, picture: &Picture, now: Instant) -> (Motion, Glance) {
        let motion = self.motion.observe(picture, now);
        let glance = self.attention.glance(&motion, now);
        (motion, glance)
    }
}
