use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;

/// Megabytes of events that wait on the disk: five detections a second for a day, with room to spare.
const MAX_MEGABYTES: u64 = 256;
/// Hours for which an event waits: as long as a gateway keeps history.
const MAX_HOURS: u64 = 24;
/// Events a second that are sent of what has waited: a quarter of what a gateway takes of one device by default.
const CATCH_UP: u32 = 500;
/// A year: more is a slip.
const MOST_HOURS: u64 = 366 * 24;
/// A terabyte: more is a slip.
const MOST_MEGABYTES: u64 = 1 << 20;

/// What waits on the disk while the gateway is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Most bytes.
    pub max_bytes: u64,
    /// Greatest age.
    pub max_age: Duration,
    /// Whether pictures wait too.
    pub pictures: bool,
    /// Events a second that are sent of what has waited.
    pub catch_up: u32,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SpoolSettings {
    max_megabytes: u64,
    max_hours: u64,
    pictures: bool,
    catch_up: u32,
}

impl SpoolSettings {
    pub(super) fn check(&self) -> Result<SpoolConfig, ConfigError> {
        if !(1..=MOST_MEGABYTES).contains(&self.max_megabytes) {
            let reason = format!("expected 1 to {MOST_MEGABYTES}");
            return Err(refuse("spool.max_megabytes", reason));
        }
        if !(1..=MOST_HOURS).contains(&self.max_hours) {
            let reason = format!("expected 1 to {MOST_HOURS}");
            return Err(refuse("spool.max_hours", reason));
        }
        if self.catch_up == 0 {
            return Err(refuse("spool.catch_up", "expected at least 1"));
        }
        Ok(SpoolConfig {
            max_bytes: self.max_megabytes * 1024 * 1024,
            max_age: Duration::from_secs(self.max_hours * 3600),
            pictures: self.pictures,
            catch_up: self.catch_up,
        })
    }
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            max_megabytes: MAX_MEGABYTES,
            max_hours: MAX_HOURS,
            pictures: false,
            catch_up: CATCH_UP,
        }
    }
}
