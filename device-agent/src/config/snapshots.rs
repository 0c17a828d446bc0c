use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;

/// JPEG quality: a snapshot is looked at for longer than a frame, and there are few.
const QUALITY: u8 = 85;

/// The pictures of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotsConfig {
    /// When they are made.
    pub when: SnapshotsWhen,
    /// Whether an object has one when it is new, too.
    pub first: FirstSnapshot,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

/// When pictures of objects are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotsWhen {
    /// While somebody who paid watches the stream.
    Watched,
    /// Always, for those who read later.
    Always,
}

/// Whether an object has a picture before it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSnapshot {
    /// Only the best one, at its end.
    None,
    /// One when it is new, and the best one at its end.
    WhenNew,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SnapshotsSettings {
    pub(super) always: bool,
    pub(super) when_new: bool,
    pub(super) quality: u8,
}

impl SnapshotsSettings {
    pub(super) fn check(&self) -> Result<SnapshotsConfig, ConfigError> {
        if !(1..=100).contains(&self.quality) {
            return Err(refuse("snapshots.quality", "expected 1 to 100"));
        }
        Ok(SnapshotsConfig {
            when: if self.always {
                SnapshotsWhen::Always
            } else {
                SnapshotsWhen::Watched
            },
            first: if self.when_new {
                FirstSnapshot::WhenNew
            } else {
                FirstSnapshot::None
            },
            quality: self.quality,
        })
    }
}

impl Default for SnapshotsSettings {
    fn default() -> Self {
        Self {
            always: false,
            when_new: false,
            quality: QUALITY,
        }
    }
}
