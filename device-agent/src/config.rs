//! Configuration of `run`: defaults, then the TOML file, then flags and environment, into one checked [`Config`].
//!
//! Each section of the file has a module with what people write, its defaults, and the check that makes of it what the
//! program uses.

mod args;
mod checks;
mod data;
mod device;
mod filters;
mod frames;
mod gateway;
mod log;
mod masks;
mod metrics;
mod model;
mod motion;
mod objects;
mod regions;
mod settings;
mod snapshots;
mod source;
mod spool;
mod status;
mod streams;
mod tracking;
mod zones;

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

pub use args::RunArgs;
pub(crate) use data::default_folder;
pub use device::DeviceConfig;
pub use frames::FramesConfig;
pub use gateway::GatewayConfig;
pub use log::LogFormat;
pub use masks::MasksConfig;
pub use model::ModelConfig;
pub use motion::MotionConfig;
pub use regions::RegionsConfig;
pub use settings::Settings;
pub use snapshots::{FirstSnapshot, SnapshotsConfig, SnapshotsWhen};
pub use source::SourceConfig;
pub use spool::SpoolConfig;
pub use status::StatusConfig;
pub use streams::DerivedStream;
pub use tracking::TrackingConfig;

/// What `run` does, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the device's key and counters.
    pub data: PathBuf,
    /// What people are told about the device.
    pub device: DeviceConfig,
    /// Who it speaks to.
    pub gateway: GatewayConfig,
    /// Where frames come from.
    pub source: SourceConfig,
    /// What looks at them.
    pub model: ModelConfig,
    /// Parts of the picture that are treated apart.
    pub masks: MasksConfig,
    /// When the eye looks; at every picture where there is none.
    pub motion: Option<MotionConfig>,
    /// How large pictures are looked at; as a whole where there is none.
    pub regions: Option<RegionsConfig>,
    /// How objects are followed; not at all where there is none.
    pub tracking: Option<TrackingConfig>,
    /// The published pictures.
    pub frames: FramesConfig,
    /// What waits on the disk.
    pub spool: SpoolConfig,
    /// The heartbeat.
    pub status: StatusConfig,
    /// Streams that hold some of the objects, to be sold apart.
    pub derived: Vec<DerivedStream>,
    /// Form of the log.
    pub log: LogFormat,
    /// Where metrics are served; nowhere when absent.
    pub metrics_listen: Option<SocketAddr>,
}

/// Why a configuration makes no sense; one line for the owner.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {reason}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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

impl Config {
    /// Reads the file that the arguments name, lays arguments and environment over it, and checks the result.
    ///
    /// # Errors
    /// When something is missing, malformed or out of range.
    pub fn load(args: RunArgs) -> Result<Self, ConfigError> {
        let mut settings = match &args.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        settings.overlay(args);
        settings.check()
    }
}

#[cfg(test)]
mod tests;
