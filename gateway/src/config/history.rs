use std::collections::BTreeSet;
use std::time::Duration;

use ashya_protocol::StreamName;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{positive, refuse};
use crate::defaults::{HISTORY_BYTES, HISTORY_HOURS, MAX_HISTORY, RING_EVENTS, RING_MINUTES};
use crate::hub::RingLimits;
use crate::retention::Retention;

const HOUR: Duration = Duration::from_secs(3600);

/// What is kept for whoever comes back.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// What is kept on disk.
    pub disk: Retention,
    /// What is kept of each stream in memory.
    pub memory: RingLimits,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HistorySettings {
    /// Streams that are kept on disk.
    streams: BTreeSet<StreamName>,
    /// 0 keeps nothing on disk.
    hours: u64,
    max_bytes: u64,
    memory_events: usize,
    memory_minutes: u64,
}

impl HistorySettings {
    pub(super) fn check(self) -> Result<HistoryConfig, ConfigError> {
        let most = MAX_HISTORY.as_secs() / HOUR.as_secs();
        if self.hours > most {
            return Err(refuse("history.hours", format!("must be at most {most}")));
        }
        let minutes = positive("history.memory_minutes", self.memory_minutes)?;
        let seconds = minutes.checked_mul(60);
        let seconds = seconds.ok_or_else(|| refuse("history.memory_minutes", "is too long"))?;
        Ok(HistoryConfig {
            disk: Retention {
                streams: self.streams,
                age: HOUR * self.hours as u32,
                max_bytes: self.max_bytes,
            },
            memory: RingLimits {
                events: positive("history.memory_events", self.memory_events)?,
                age: Duration::from_secs(seconds),
            },
        })
    }
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            streams: StreamName::DETECTIONS.parse().into_iter().collect(),
            hours: HISTORY_HOURS,
            max_bytes: HISTORY_BYTES,
            memory_events: RING_EVENTS,
            memory_minutes: RING_MINUTES,
        }
    }
}
