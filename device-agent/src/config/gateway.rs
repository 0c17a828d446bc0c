use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::checks::{parse, refuse};
use crate::trust::Trust;

/// Where a gateway of one's own listens.
const URL: &str = "http://127.0.0.1:8080";

/// Who the device speaks to.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Its REST interface, which tells where its broker is.
    pub url: Url,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether the password may go to the broker of an https gateway without TLS.
    pub clear_mqtt: bool,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GatewaySettings {
    pub(super) url: String,
    /// PEM; in place of what the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    clear_mqtt: bool,
}

impl GatewaySettings {
    pub(super) fn check(&self) -> Result<GatewayConfig, ConfigError> {
        Ok(GatewayConfig {
            url: parse("gateway.url", &self.url)?,
            trust: Trust::load(self.ca_file.as_deref())
                .map_err(|error| refuse("gateway.ca_file", error))?,
            clear_mqtt: self.clear_mqtt,
        })
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            url: URL.into(),
            ca_file: None,
            clear_mqtt: false,
        }
    }
}
