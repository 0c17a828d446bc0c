use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::checks::local;
use crate::defaults::METRICS_PORT;

/// Where metrics are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MetricsSettings {
    pub(super) listen: SocketAddr,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            listen: local(METRICS_PORT),
        }
    }
}
