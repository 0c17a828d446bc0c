//! Configuration of `run`: flags over environment over file over defaults, checked once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ashya_protocol::Address;
use clap::Args;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::detect::Confidence;
use crate::runtime::RuntimeOptions;
use crate::source::SourceSpec;
use crate::threads::Threads;

/// Where a gateway of one's own listens.
const GATEWAY: &str = "http://127.0.0.1:8080";
/// Beside the working directory, so that a first try needs no rights elsewhere.
const DATA: &str = "agent-data";
/// What `make setup` leaves in the workspace.
const MODEL: &str = "models/street_tiny_320.onnx";
/// Something moves there without any camera.
const SOURCE: &str = "scene:1";
const TITLE: &str = "Ashya device";
/// Frames a second that are looked at: people cross a picture in seconds.
const FPS: f64 = 5.0;
/// Pictures a second that are published while somebody watches them.
const FRAMES_FPS: f64 = 5.0;
/// JPEG quality of published pictures; 80 halves the bytes of 95 and shows no blocks.
const FRAMES_QUALITY: u8 = 80;
/// Least score that is published. At the 0.25 that models are compared with, the default model shows ghosts: boxes
/// that come and go where nothing is. Who pays for a feed would rather miss a doubtful object.
const CONFIDENCE: f32 = 0.4;
/// Highest rate that makes sense; a camera gives 60.
const MAX_FPS: f64 = 60.0;
/// One frame in ten minutes.
const MIN_FPS: f64 = 1.0 / 600.0;

/// What was asked for, unchecked; the same names on the command line and in the file.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The gateway to register with [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "ASHYA_AGENT_GATEWAY")]
    pub gateway: Option<String>,
    /// Folder of the device's key and counters [default: agent-data]
    #[arg(long, value_name = "DIR", env = "ASHYA_AGENT_DATA")]
    pub data: Option<PathBuf>,
    /// The wallet that this device belongs to; required
    #[arg(long, value_name = "0x…", env = "ASHYA_AGENT_OWNER")]
    pub owner: Option<String>,
    /// A short name for people [default: Ashya device]
    #[arg(long, env = "ASHYA_AGENT_TITLE")]
    pub title: Option<String>,
    /// More about the device
    #[arg(long, env = "ASHYA_AGENT_DESCRIPTION")]
    pub description: Option<String>,
    /// The model: YOLOv8, YOLO11 or YOLOX as ONNX [default: models/street_tiny_320.onnx]
    #[arg(long, value_name = "FILE", env = "ASHYA_AGENT_MODEL")]
    pub model: Option<PathBuf>,
    /// scene:SEED, a folder of pictures, or a video file [default: scene:1]
    #[arg(long, env = "ASHYA_AGENT_SOURCE")]
    pub source: Option<String>,
    /// Frames looked at per second [default: 5]
    #[arg(long, env = "ASHYA_AGENT_FPS")]
    pub fps: Option<f64>,
    /// Least score that counts, 0 to 1 [default: 0.4]
    #[arg(long, env = "ASHYA_AGENT_CONFIDENCE")]
    pub confidence: Option<f32>,
    /// Pictures published per second while somebody watches them [default: 5]
    #[arg(long, env = "ASHYA_AGENT_FRAMES_FPS")]
    pub frames_fps: Option<f64>,
    /// JPEG quality of published pictures, 1 to 100 [default: 80]
    #[arg(long, env = "ASHYA_AGENT_FRAMES_QUALITY")]
    pub frames_quality: Option<u8>,
    /// CPU threads for one picture [default: as many as there are]
    #[arg(long, env = "ASHYA_AGENT_THREADS")]
    pub threads: Option<usize>,
    /// The ONNX Runtime library [default: the one that `make setup` installed]
    #[arg(long, value_name = "PATH", env = "ASHYA_ONNXRUNTIME")]
    pub onnxruntime: Option<PathBuf>,
    /// Load a library with this sha256 though it is not a known one
    #[arg(long, value_name = "HEX", env = "ASHYA_ONNXRUNTIME_SHA256")]
    pub onnxruntime_sha256: Option<String>,
}

/// What `run` does, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The gateway.
    pub gateway: Url,
    /// Folder of the device's key and counters.
    pub data: PathBuf,
    /// The wallet that this device belongs to.
    pub owner: Address,
    /// A short name for people.
    pub title: String,
    /// More about the device.
    pub description: String,
    /// The model file.
    pub model: PathBuf,
    /// Where frames come from.
    pub source: SourceSpec,
    /// Time between two frames.
    pub interval: Duration,
    /// Least score that counts.
    pub confidence: Confidence,
    /// Least time between two published pictures.
    pub frames_interval: Duration,
    /// JPEG quality of published pictures.
    pub frames_quality: u8,
    /// CPU threads for one picture.
    pub threads: Threads,
    /// Where ONNX Runtime is.
    pub runtime: RuntimeOptions,
}

/// Why a configuration makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read or parsed.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A value is missing or wrong.
    #[error("{name}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Settings {
    /// Reads the settings of a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or holds a setting that does not exist.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let failed = |reason: String| ConfigError::File {
            path: path.display().to_string(),
            // One line: the rest of a TOML error draws the place.
            reason: reason
                .lines()
                .filter(|line| !line.contains('|'))
                .collect::<Vec<_>>()
                .join(": "),
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        toml::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// These settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            gateway: self.gateway.or(other.gateway),
            data: self.data.or(other.data),
            owner: self.owner.or(other.owner),
            title: self.title.or(other.title),
            description: self.description.or(other.description),
            model: self.model.or(other.model),
            source: self.source.or(other.source),
            fps: self.fps.or(other.fps),
            confidence: self.confidence.or(other.confidence),
            frames_fps: self.frames_fps.or(other.frames_fps),
            frames_quality: self.frames_quality.or(other.frames_quality),
            threads: self.threads.or(other.threads),
            onnxruntime: self.onnxruntime.or(other.onnxruntime),
            onnxruntime_sha256: self.onnxruntime_sha256.or(other.onnxruntime_sha256),
        }
    }
}

impl TryFrom<Settings> for Config {
    type Error = ConfigError;

    fn try_from(settings: Settings) -> Result<Self, ConfigError> {
        let owner = settings.owner.ok_or_else(|| {
            wrong(
                "owner",
                "the wallet that this device belongs to is required",
            )
        })?;
        let quality = settings.frames_quality.unwrap_or(FRAMES_QUALITY);
        if !(1..=100).contains(&quality) {
            return Err(wrong("frames-quality", "expected 1 to 100"));
        }
        let threads = settings
            .threads
            .map_or_else(|| Ok(Threads::default()), Threads::try_from)
            .map_err(|error| wrong("threads", error))?;
        let confidence = settings.confidence.unwrap_or(CONFIDENCE);
        Ok(Self {
            gateway: parse("gateway", settings.gateway.as_deref().unwrap_or(GATEWAY))?,
            data: settings.data.unwrap_or_else(|| DATA.into()),
            owner: parse("owner", &owner)?,
            title: settings.title.unwrap_or_else(|| TITLE.to_owned()),
            description: settings.description.unwrap_or_default(),
            model: settings.model.unwrap_or_else(|| MODEL.into()),
            source: parse("source", settings.source.as_deref().unwrap_or(SOURCE))?,
            interval: interval("fps", settings.fps.unwrap_or(FPS))?,
            confidence: confidence
                .try_into()
                .map_err(|error| wrong("confidence", error))?,
            frames_interval: interval("frames-fps", settings.frames_fps.unwrap_or(FRAMES_FPS))?,
            frames_quality: quality,
            threads,
            runtime: RuntimeOptions {
                library: settings.onnxruntime,
                sha256: settings
                    .onnxruntime_sha256
                    .map(|text| parse("onnxruntime-sha256", &text))
                    .transpose()?,
            },
        })
    }
}

/// Where the data folder is by default.
pub(crate) fn default_data() -> PathBuf {
    DATA.into()
}

/// Every default as a configuration file.
pub fn defaults_as_toml() -> String {
    format!(
        "# Every setting of `ashya-agent run` with its default. A flag (--frames-fps) or the environment\n\
         # (ASHYA_AGENT_FRAMES_FPS) has the last word.\n\
         gateway = {GATEWAY:?}\n\
         data = {DATA:?}\n\
         # owner = \"0x…\"  # the wallet that this device belongs to; required\n\
         title = {TITLE:?}\n\
         description = \"\"\n\
         model = {MODEL:?}\n\
         source = {SOURCE:?}  # scene:SEED, a folder of pictures, or a video file\n\
         fps = {FPS:?}\n\
         confidence = {CONFIDENCE:?}\n\
         frames-fps = {FRAMES_FPS:?}\n\
         frames-quality = {FRAMES_QUALITY}\n\
         # threads = {}  # as many as this machine has\n\
         # onnxruntime = \"PATH\"  # the library that `make setup` installed\n\
         # onnxruntime-sha256 = \"HEX\"  # vouches for another library\n",
        Threads::default(),
    )
}

fn parse<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<T, ConfigError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| wrong(name, format!("{error} (found {text:?})")))
}

fn interval(name: &'static str, rate: f64) -> Result<Duration, ConfigError> {
    if (MIN_FPS..=MAX_FPS).contains(&rate) {
        Ok(Duration::from_secs_f64(rate.recip()))
    } else {
        Err(wrong(
            name,
            format!("{rate} frames a second, expected 1/600 to {MAX_FPS}"),
        ))
    }
}

fn wrong(name: &'static str, reason: impl std::fmt::Display) -> ConfigError {
    ConfigError::Value {
        name,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

    fn settings(toml: &str) -> Settings {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let owner = format!("owner = {OWNER:?}");
        let printed = defaults_as_toml().replace("# owner = \"0x…\"", &owner);
        let printed = Config::try_from(settings(&printed)).unwrap();
        let default = Config::try_from(settings(&owner)).unwrap();
        assert_eq!(format!("{printed:?}"), format!("{default:?}"));
        assert_eq!(default.interval, Duration::from_millis(200));
        assert!(default.confidence > Confidence::DEFAULT, "no ghosts");
    }

    #[test]
    fn the_command_line_outranks_the_file() {
        let flags = settings("fps = 2.0");
        let file = settings(&format!("fps = 9.0\nframes-fps = 1.0\nowner = {OWNER:?}"));
        let config = Config::try_from(flags.or(file)).unwrap();
        assert_eq!(config.interval, Duration::from_millis(500));
        assert_eq!(config.frames_interval, Duration::from_secs(1));
    }

    #[test]
    fn wrong_values_are_named() {
        for (toml, name) in [
            ("owner = '0x12'", "owner"),
            ("gateway = 'nowhere'", "gateway"),
            ("fps = 0.0", "fps"),
            ("fps = nan", "fps"),
            ("frames-fps = 1000.0", "frames-fps"),
            ("frames-quality = 0", "frames-quality"),
            ("confidence = 1.5", "confidence"),
            ("threads = 0", "threads"),
            ("threads = 100000", "threads"),
            ("source = 'scene:x'", "source"),
            ("onnxruntime-sha256 = 'ab'", "onnxruntime-sha256"),
        ] {
            let asked = settings(toml);
            let asked = asked.or(settings(&format!("owner = {OWNER:?}")));
            let error = Config::try_from(asked).unwrap_err();
            assert!(
                matches!(&error, ConfigError::Value { name: found, .. } if *found == name),
                "{toml}: {error}"
            );
        }
        let missing = Config::try_from(Settings::default()).unwrap_err();
        assert!(missing.to_string().starts_with("owner:"), "{missing}");
    }

    #[test]
    fn an_unknown_setting_in_the_file_is_told_on_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        fs::write(&path, "fsp = 5.0\n").unwrap();
        let error = Settings::from_file(&path).unwrap_err().to_string();
        assert!(
            error.contains("fsp") && error.lines().count() == 1,
            "{error}"
        );
        assert!(Settings::from_file(&folder.path().join("no")).is_err());
    }
}
