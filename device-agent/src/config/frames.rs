use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{interval, refuse};

/// Pictures a second that are published while somebody watches them.
const FPS: f64 = 5.0;
/// JPEG quality of published pictures; 80 halves the bytes of 95 and shows no blocks.
const QUALITY: u8 = 80;

/// The published pictures.
#[derive(Debug, Clone)]
pub struct FramesConfig {
    /// Least time between two of them.
    pub interval: Duration,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FramesSettings {
    pub(super) fps: f64,
    pub(super) quality: u8,
}

impl FramesSettings {
    pub(super) fn check(&self) -> Result<FramesConfig, ConfigError> {
        if !(1..=100).contains(&self.quality) {
            return Err(refuse("frames.quality", "expected 1 to 100"));
        }
        Ok(FramesConfig {
            interval: interval("frames.fps", self.fps)?,
            quality: self.quality,
        })
    }
}

impl Default for FramesSettings {
    fn default() -> Self {
        Self {
            fps: FPS,
            quality: QUALITY,
        }
    }
}
