use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;

/// Where metrics are served, before it is checked; nowhere unless somebody asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MetricsSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<String>,
}

impl MetricsSettings {
    pub(super) fn check(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let parsed = self.listen.as_deref().map(|text| {
            let reason = || format!("expected such as 127.0.0.1:9101, found {text:?}");
            let address = text.parse();
            address.map_err(|_| refuse("metrics.listen", reason()))
        });
        parsed.transpose()
    }
}
