use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{refuse, seconds};
use super::snapshots::SnapshotsConfig;
use crate::objects::ObjectRules;
use crate::track::TrackerOptions;
use crate::zones::Zone;

/// How objects are followed, and what is told of them.
#[derive(Debug, Clone)]
pub struct TrackingConfig {
    /// How they are followed.
    pub options: TrackerOptions,
    /// When they are told to have changed.
    pub rules: ObjectRules,
    /// Parts of the picture that they may enter and leave.
    pub zones: Vec<Zone>,
    /// Their pictures.
    pub snapshots: SnapshotsConfig,
}

/// How objects are followed, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TrackingSettings {
    pub(super) enabled: bool,
    /// Least score of a box that carries on an object which is known already.
    pub(super) unsure: f64,
    /// By how much a box that begins an object is better than one that is reported.
    pub(super) begin_above: f64,
    /// Least overlaps, 0 to 1.
    pub(super) overlap: f64,
    pub(super) unsure_overlap: f64,
    pub(super) begin_overlap: f64,
    /// Frames in a row that confirm an object.
    pub(super) min_hits: u32,
    /// How long an object may be hidden.
    pub(super) lost_seconds: f64,
}

impl TrackingSettings {
    /// Options for boxes that are reported from the score `sure` on and come every `interval`; none when nothing is to be
    /// followed.
    pub(super) fn check(
        &self,
        sure: f32,
        interval: Duration,
    ) -> Result<Option<TrackerOptions>, ConfigError> {
        let unsure = number("tracking.unsure", self.unsure)?;
        let options = TrackerOptions {
            sure,
            unsure: unsure.min(sure),
            begin: (sure + number("tracking.begin_above", self.begin_above)?).min(1.0),
            overlap: number("tracking.overlap", self.overlap)?,
            unsure_overlap: number("tracking.unsure_overlap", self.unsure_overlap)?,
            begin_overlap: number("tracking.begin_overlap", self.begin_overlap)?,
            min_hits: self.min_hits,
            // A slow source must not lose between two frames what it saw in the first.
            lost: seconds("tracking.lost_seconds", self.lost_seconds)?.max(interval * 3),
        };
        let options = options
            .checked()
            .map_err(|error| refuse("tracking.min_hits", error))?;
        Ok(self.enabled.then_some(options))
    }
}

impl Default for TrackingSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            unsure: decimal(TrackerOptions::UNSURE),
            begin_above: decimal(TrackerOptions::BEGIN_ABOVE),
            overlap: decimal(TrackerOptions::OVERLAP),
            unsure_overlap: decimal(TrackerOptions::UNSURE_OVERLAP),
            begin_overlap: decimal(TrackerOptions::BEGIN_OVERLAP),
            min_hits: TrackerOptions::MIN_HITS,
            lost_seconds: TrackerOptions::LOST.as_secs_f64(),
        }
    }
}

fn number(name: &'static str, value: f64) -> Result<f32, ConfigError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value as f32)
    } else {
        Err(refuse(name, "expected a number from 0 to 1"))
    }
}

/// Two decimals, so that it prints as it was written.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}
