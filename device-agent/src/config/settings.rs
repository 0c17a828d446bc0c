use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data::DataSettings;
use super::device::DeviceSettings;
use super::filters::FilterSettings;
use super::frames::FramesSettings;
use super::gateway::GatewaySettings;
use super::log::LogSettings;
use super::masks::MasksSettings;
use super::metrics::MetricsSettings;
use super::model::ModelSettings;
use super::motion::MotionSettings;
use super::objects::ObjectsSettings;
use super::regions::RegionsSettings;
use super::snapshots::SnapshotsSettings;
use super::source::SourceSettings;
use super::spool::SpoolSettings;
use super::status::StatusSettings;
use super::streams::StreamSettings;
use super::tracking::{TrackingConfig, TrackingSettings};
use super::zones::ZoneSettings;
use super::{Config, ConfigError, RunArgs, streams, zones};

/// The configuration file, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    data: DataSettings,
    device: DeviceSettings,
    gateway: GatewaySettings,
    source: SourceSettings,
    model: ModelSettings,
    masks: MasksSettings,
    motion: MotionSettings,
    regions: RegionsSettings,
    tracking: TrackingSettings,
    objects: ObjectsSettings,
    snapshots: SnapshotsSettings,
    frames: FramesSettings,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    zones: BTreeMap<String, ZoneSettings>,
    spool: SpoolSettings,
    status: StatusSettings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<FilterSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    streams: Vec<StreamSettings>,
    log: LogSettings,
    metrics: MetricsSettings,
}

impl Settings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or holds what no setting is called.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.to_owned(),
            reason: error.message().replace('\n', " "),
        })
    }

    /// The settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("settings are plain tables")
    }

    pub(super) fn overlay(&mut self, args: RunArgs) {
        set(&mut self.data.folder, args.data);
        set(&mut self.gateway.url, args.gateway);
        set_some(&mut self.device.owner, args.owner);
        set(&mut self.device.title, args.title);
        set(&mut self.device.description, args.description);
        set(&mut self.source.from, args.source);
        set(&mut self.source.fps, args.fps);
        set(&mut self.model.file, args.model);
        set(&mut self.model.confidence, args.confidence);
        set_some(&mut self.model.threads, args.threads);
        set(&mut self.model.providers, args.providers);
        set_some(&mut self.model.onnxruntime, args.onnxruntime);
        set_some(&mut self.model.onnxruntime_sha256, args.onnxruntime_sha256);
        set(&mut self.frames.fps, args.frames_fps);
        set(&mut self.frames.quality, args.frames_quality);
        set(&mut self.log.format, args.log_format);
        set_some(&mut self.metrics.listen, args.metrics_listen);
    }

    pub(super) fn check(self) -> Result<Config, ConfigError> {
        let source = self.source.check()?;
        let model = self.model.check(&self.filters)?;
        let sure = model.rules.confidence.get();
        let options = self.tracking.check(sure, source.interval)?;
        let (rules, snapshots) = (self.objects.check()?, self.snapshots.check()?);
        let reported = &model.rules.labels;
        let zones = zones::check(self.zones, reported)?;
        let derived = streams::check(self.streams, &zones, reported)?;
        Ok(Config {
            data: self.data.folder,
            device: self.device.check()?,
            gateway: self.gateway.check()?,
            source,
            model,
            masks: self.masks.check()?,
            motion: self.motion.check()?,
            regions: self.regions.check()?,
            tracking: options.map(|options| TrackingConfig {
                options,
                rules,
                zones,
                snapshots,
            }),
            frames: self.frames.check()?,
            spool: self.spool.check()?,
            status: self.status.check()?,
            derived,
            log: self.log.check()?,
            metrics_listen: self.metrics.check()?,
        })
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn set_some<T>(setting: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *setting = value;
    }
}
