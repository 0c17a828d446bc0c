use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::refuse;
use crate::entrance::TlsConfig;

/// A [`TlsConfig`] before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<PathBuf>,
}

impl TlsSettings {
    /// Nothing where neither is given.
    pub(super) fn check(self) -> Result<Option<TlsConfig>, ConfigError> {
        match (self.certificate, self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(TlsConfig { certificate, key })),
            (Some(_), None) => Err(refuse("tls.key", "the certificate needs its key")),
            (None, Some(_)) => Err(refuse("tls.certificate", "the key needs its certificate")),
        }
    }
}
