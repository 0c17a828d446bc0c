use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::checks::parse;

/// Where a gateway of one's own listens.
const URL: &str = "http://127.0.0.1:8080";

/// Who the device speaks to.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Its REST interface, which tells where its broker is.
    pub url: Url,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GatewaySettings {
    pub(super) url: String,
}

impl GatewaySettings {
    pub(super) fn check(&self) -> Result<GatewayConfig, ConfigError> {
        Ok(GatewayConfig {
            url: parse("gateway.url", &self.url)?,
        })
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self { url: URL.into() }
    }
}
