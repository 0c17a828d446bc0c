use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{refuse, seconds};

/// Levels of grey by which a pixel must differ: more than a camera's noise in the evening once sixteen are averaged.
const THRESHOLD: u8 = 12;
/// Share of the picture that must change together: a walker of a fifteenth of its height.
const MIN_AREA: f64 = 0.0003;
/// Share of the picture beyond which the light has changed, or the camera was turned; a bus at the kerb hides less.
const LIGHT_CHANGE: f64 = 0.5;
/// Time in which most of a change becomes background, in seconds: longer than people stop for a moment, short enough
/// for the light of a day.
const ADAPT: f64 = 10.0;
/// Time between two statements of what is seen while nothing moves, in seconds.
const STILL: f64 = 2.0;
/// Time between two looks while nothing moves, in seconds.
const RECHECK: f64 = 30.0;

/// When the eye looks, and when it does not.
#[derive(Debug, Clone)]
pub struct MotionConfig {
    /// Levels of grey by which a pixel must differ, 0 to 255.
    pub threshold: u8,
    /// Share of the picture that must change together.
    pub min_area: f32,
    /// Share of the picture beyond which it is not motion.
    pub light_change: f32,
    /// Time in which most of a change becomes background.
    pub adaptation: Duration,
    /// Time between two statements of what is seen while nothing moves.
    pub still: Duration,
    /// Time between two looks while nothing moves.
    pub recheck: Duration,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MotionSettings {
    pub(super) enabled: bool,
    pub(super) threshold: u8,
    pub(super) min_area: f64,
    pub(super) light_change: f64,
    pub(super) adapt_seconds: f64,
    pub(super) still_seconds: f64,
    pub(super) recheck_seconds: f64,
}

impl MotionSettings {
    /// None when every picture is to be looked at.
    pub(super) fn check(&self) -> Result<Option<MotionConfig>, ConfigError> {
        if self.threshold == 0 || self.threshold > 250 {
            return Err(refuse("motion.threshold", "expected 1 to 250"));
        }
        let config = MotionConfig {
            threshold: self.threshold,
            min_area: share("motion.min_area", self.min_area)?,
            light_change: share("motion.light_change", self.light_change)?,
            adaptation: seconds("motion.adapt_seconds", self.adapt_seconds)?,
            still: seconds("motion.still_seconds", self.still_seconds)?,
            recheck: seconds("motion.recheck_seconds", self.recheck_seconds)?,
        };
        Ok(self.enabled.then_some(config))
    }
}

impl Default for MotionSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: THRESHOLD,
            min_area: MIN_AREA,
            light_change: LIGHT_CHANGE,
            adapt_seconds: ADAPT,
            still_seconds: STILL,
            recheck_seconds: RECHECK,
        }
    }
}

fn share(name: &'static str, value: f64) -> Result<f32, ConfigError> {
    if value > 0.0 && value <= 1.0 {
        Ok(value as f32)
    } else {
        Err(refuse(
            name,
            "expected a share of the picture, more than 0 and at most 1",
        ))
    }
}
