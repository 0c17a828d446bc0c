use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::choose;

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// A JSON object a line.
    Json,
}

/// The log, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSettings {
    pub(super) format: String,
}

impl LogSettings {
    pub(super) fn check(&self) -> Result<LogFormat, ConfigError> {
        choose("log.format", &self.format, ["human", "json"])
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: "human".into(),
        }
    }
}
