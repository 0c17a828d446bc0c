use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{interval, refuse};
use crate::source::{Decoder, SourceOptions, SourceSpec, Transport};

/// Something moves there without any camera.
const SOURCE: &str = "scene:1";
/// Frames a second that are looked at: people cross a picture in seconds.
const FPS: f64 = 5.0;
/// Longest watchdog in seconds: an hour without a picture is no live feed.
const MAX_WATCHDOG: u64 = 3600;

/// Where frames come from.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The camera, or what stands for one.
    pub spec: SourceSpec,
    /// Time between two frames.
    pub interval: Duration,
    /// How it is opened.
    pub options: SourceOptions,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SourceSettings {
    pub(super) from: String,
    pub(super) fps: f64,
    pub(super) watchdog_seconds: u64,
    pub(super) decoder: Decoder,
    pub(super) transport: Transport,
    pub(super) ffmpeg_input: Vec<String>,
}

impl SourceSettings {
    pub(super) fn check(self) -> Result<SourceConfig, ConfigError> {
        if !(1..=MAX_WATCHDOG).contains(&self.watchdog_seconds) {
            let reason = format!("expected 1 to {MAX_WATCHDOG} seconds");
            return Err(refuse("source.watchdog_seconds", reason));
        }
        // The text may hold a password, so the error does not repeat it.
        let spec = self.from.parse();
        let spec = spec.map_err(|error| refuse("source.from", error))?;
        if self.decoder == Decoder::Native {
            check_native(&spec)?;
        }
        Ok(SourceConfig {
            spec,
            interval: interval("source.fps", self.fps)?,
            options: SourceOptions {
                decoder: self.decoder,
                transport: self.transport,
                ffmpeg_input: self.ffmpeg_input,
                watchdog: Duration::from_secs(self.watchdog_seconds),
            },
        })
    }
}

/// The native decoder may have been left out of the program, and does not speak TLS.
fn check_native(spec: &SourceSpec) -> Result<(), ConfigError> {
    let reason = match spec {
        _ if !cfg!(feature = "native-rtsp") => {
            "this program was built without the native decoder: build it with `--features native-rtsp`, or use ffmpeg"
        }
        SourceSpec::Rtsp(url) if url.scheme() == "rtsps" => {
            "the native decoder does not speak rtsps: use ffmpeg"
        }
        _ => return Ok(()),
    };
    Err(refuse("source.decoder", reason))
}

impl Default for SourceSettings {
    fn default() -> Self {
        let SourceOptions {
            decoder,
            transport,
            ffmpeg_input,
            watchdog,
        } = SourceOptions::default();
        Self {
            from: SOURCE.into(),
            fps: FPS,
            watchdog_seconds: watchdog.as_secs(),
            decoder,
            transport,
            ffmpeg_input,
        }
    }
}
