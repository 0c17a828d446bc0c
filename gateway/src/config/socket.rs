use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::check_origins;
use crate::socket::SocketPolicy;

/// Who may open websockets, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SocketSettings {
    /// Origins whose pages may open websockets beside the gateway's own; none allows all.
    origins: Vec<String>,
}

impl SocketSettings {
    pub(super) fn check(&self) -> Result<SocketPolicy, ConfigError> {
        Ok(SocketPolicy {
            origins: check_origins("socket.origins", &self.origins)?,
        })
    }
}
