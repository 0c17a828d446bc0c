use ashya_protocol::Address;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::{parse, refuse};

const TITLE: &str = "Ashya device";

/// What people are told about the device.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// The wallet that it belongs to.
    pub owner: Address,
    /// A short name for people.
    pub title: String,
    /// More about it.
    pub description: String,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeviceSettings {
    /// Required; nobody could be its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    pub(super) title: String,
    pub(super) description: String,
}

impl DeviceSettings {
    pub(super) fn check(self) -> Result<DeviceConfig, ConfigError> {
        let owner = self.owner.ok_or_else(|| {
            let reason = "the wallet that this device belongs to is required (--owner 0x…)";
            refuse("device.owner", reason)
        })?;
        Ok(DeviceConfig {
            owner: parse("device.owner", &owner)?,
            title: self.title,
            description: self.description,
        })
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            owner: None,
            title: TITLE.into(),
            description: String::new(),
        }
    }
}
