use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{interval, refuse};

/// Pictures a second that are published while somebody watches them.
const FPS: f64 = 5.0;
/// JPEG quality of published pictures; 80 halves the bytes of 95 and shows no blocks.
const QUALITY: u8 = 80;
/// Width in pixels to which larger pictures are shrunk: what a page shows, in an eighth of the bytes of a camera's
/// 1920 by 1080.
const WIDTH: u32 = 640;
/// Widest picture that a JPEG can hold.
const MAX_WIDTH: u32 = 65_535;

/// The published pictures.
#[derive(Debug, Clone)]
pub struct FramesConfig {
    /// Least time between two of them.
    pub interval: Duration,
    /// Width in pixels to which larger ones are shrunk; 0 leaves them as they are.
    pub width: u32,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FramesSettings {
    pub(super) fps: f64,
    pub(super) width: u32,
    pub(super) quality: u8,
}

impl FramesSettings {
    pub(super) fn check(&self) -> Result<FramesConfig, ConfigError> {
        if !(1..=100).contains(&self.quality) {
            return Err(refuse("frames.quality", "expected 1 to 100"));
        }
        if self.width > MAX_WIDTH {
            return Err(refuse(
                "frames.width",
                format!("expected 1 to {MAX_WIDTH} pixels, or 0 for the camera's own width"),
            ));
        }
        Ok(FramesConfig {
            interval: interval("frames.fps", self.fps)?,
            width: self.width,
            quality: self.quality,
        })
    }
}

impl Default for FramesSettings {
    fn default() -> Self {
        Self {
            fps: FPS,
            width: WIDTH,
            quality: QUALITY,
        }
    }
}
