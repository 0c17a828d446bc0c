use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{interval, parse};
use crate::source::SourceSpec;

/// Something moves there without any camera.
const SOURCE: &str = "scene:1";
/// Frames a second that are looked at: people cross a picture in seconds.
const FPS: f64 = 5.0;

/// Where frames come from.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The camera, or what stands for one.
    pub spec: SourceSpec,
    /// Time between two frames.
    pub interval: Duration,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SourceSettings {
    pub(super) from: String,
    pub(super) fps: f64,
}

impl SourceSettings {
    pub(super) fn check(&self) -> Result<SourceConfig, ConfigError> {
        Ok(SourceConfig {
            spec: parse("source.from", &self.from)?,
            interval: interval("source.fps", self.fps)?,
        })
    }
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            from: SOURCE.into(),
            fps: FPS,
        }
    }
}
