use std::time::Duration;

use ashya_protocol::STATUS_SECONDS;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;

/// Seconds between two of them: half of what is promised, so that a slow network is no silence.
const SECONDS: u64 = 5;

/// The heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusConfig {
    /// Time between two `status` events.
    pub every: Duration,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StatusSettings {
    seconds: u64,
}

impl StatusSettings {
    pub(super) fn check(&self) -> Result<StatusConfig, ConfigError> {
        if !(1..=STATUS_SECONDS).contains(&self.seconds) {
            let reason = format!("expected 1 to {STATUS_SECONDS}: whoever pays counts on it");
            return Err(refuse("status.seconds", reason));
        }
        Ok(StatusConfig {
            every: Duration::from_secs(self.seconds),
        })
    }
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self { seconds: SECONDS }
    }
}
