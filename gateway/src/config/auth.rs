use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::checks::seconds;
use crate::auth::rates::RateConfig;
use crate::defaults::{
    CREDENTIALS_PER_MINUTE, DEVICE_PASSWORD_LIFETIME, NONCES_PER_MINUTE, PER_ADDRESS_PER_MINUTE,
    REGISTRATIONS_PER_MINUTE, SESSION_LIFETIME, SESSIONS_PER_MINUTE, SOCKETS_PER_WALLET,
};

/// Sessions and passwords, and how many of them.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// File of the key that the fleet shares; one in the data folder when absent.
    pub key_file: Option<PathBuf>,
    /// How long wallets' sessions last.
    pub session_lifetime: Duration,
    /// How long devices' MQTT passwords last.
    pub device_password_lifetime: Duration,
    /// Sockets and event streams that one wallet may have open.
    pub sockets_per_wallet: usize,
    /// How often a client may ask.
    pub rates: RateConfig,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    session_seconds: u64,
    device_password_seconds: u64,
    sockets_per_wallet: usize,
    /// A limit of 0 is none.
    nonces_per_minute: u32,
    sessions_per_minute: u32,
    registrations_per_minute: u32,
    credentials_per_minute: u32,
    per_address_per_minute: u32,
}

impl AuthSettings {
    pub(super) fn check(self) -> Result<AuthConfig, ConfigError> {
        Ok(AuthConfig {
            session_lifetime: seconds("auth.session_seconds", self.session_seconds)?,
            device_password_lifetime: seconds(
                "auth.device_password_seconds",
                self.device_password_seconds,
            )?,
            key_file: self.key_file,
            sockets_per_wallet: self.sockets_per_wallet,
            rates: RateConfig {
                nonces: self.nonces_per_minute,
                sessions: self.sessions_per_minute,
                registrations: self.registrations_per_minute,
                credentials: self.credentials_per_minute,
                per_address: self.per_address_per_minute,
            },
        })
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            session_seconds: SESSION_LIFETIME.as_secs(),
            device_password_seconds: DEVICE_PASSWORD_LIFETIME.as_secs(),
            key_file: None,
            sockets_per_wallet: SOCKETS_PER_WALLET,
            nonces_per_minute: NONCES_PER_MINUTE,
            sessions_per_minute: SESSIONS_PER_MINUTE,
            registrations_per_minute: REGISTRATIONS_PER_MINUTE,
            credentials_per_minute: CREDENTIALS_PER_MINUTE,
            per_address_per_minute: PER_ADDRESS_PER_MINUTE,
        }
    }
}
