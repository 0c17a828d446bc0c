use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::seconds;
use crate::objects::ObjectRules;

/// Least time between two events of an object, in seconds: enough for a map to move smoothly, and a walker who crosses the
/// picture makes a dozen.
const UPDATE: f64 = 1.0;
/// How long an object stands still before it is stationary, in seconds: longer than at a kerb, shorter than at a bus stop.
const STATIONARY: f64 = 10.0;

/// When an object is told to have changed, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ObjectsSettings {
    pub(super) update_seconds: f64,
    pub(super) stationary_seconds: f64,
}

impl ObjectsSettings {
    pub(super) fn check(&self) -> Result<ObjectRules, ConfigError> {
        Ok(ObjectRules {
            update_interval: seconds("objects.update_seconds", self.update_seconds)?,
            stationary: seconds("objects.stationary_seconds", self.stationary_seconds)?,
        })
    }
}

impl Default for ObjectsSettings {
    fn default() -> Self {
        Self {
            update_seconds: UPDATE,
            stationary_seconds: STATIONARY,
        }
    }
}
