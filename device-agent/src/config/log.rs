use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::parse;

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
        parse("log.format", &self.format)
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: "human".into(),
        }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("expected human or json"),
        }
    }
}
