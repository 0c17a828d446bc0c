//! MQTT passwords of devices.

use std::time::Duration;

use ashya_protocol::DeviceId;
use tokio_util::sync::CancellationToken;

use super::AuthError;
use super::tokens::Tokens;
use crate::chain_clock::wall_clock;
use crate::registry::Blocklist;

/// Issues and checks the MQTT passwords of devices. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DevicePasswords {
    tokens: Tokens,
    lifetime: Duration,
    blocked: Option<Blocklist>,
}

/// What a good password says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceClaims {
    /// The device.
    pub device: DeviceId,
    /// Unix second (wall clock) at which the MQTT session ends.
    pub expires_at: u64,
}

impl DevicePasswords {
    /// Passwords of `lifetime` under the fleet's key.
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        Self {
            tokens: Tokens::new(secret, "ashya-device"),
            lifetime,
            blocked: None,
        }
    }

    /// The same, but none is good for a device on the list.
    #[must_use]
    pub fn except(self, blocked: Blocklist) -> Self {
        let blocked = Some(blocked);
        Self { blocked, ..self }
    }

    /// Cancelled when no password of the device is good any more.
    pub(crate) fn leash(&self, device: DeviceId) -> CancellationToken {
        let blocked = self.blocked.as_ref();
        blocked.map_or_else(CancellationToken::new, |list| list.leash(device))
    }

    /// A new password and the Unix second at which it ends.
    pub fn issue(&self, device: DeviceId) -> (String, u64) {
        let expires_at = (wall_clock() + self.lifetime).as_secs();
        (self.tokens.issue(device, None, expires_at), expires_at)
    }

    /// Checks an MQTT user name (the device id) and its password.
    ///
    /// # Errors
    /// When the password is not ours, has run out, or is another device's.
    pub fn verify(&self, username: &str, password: &str) -> Result<DeviceClaims, AuthError> {
        let (device, _, expires_at) = self.tokens.verify::<DeviceId>(password)?;
        if username.parse() != Ok(device) {
            return Err(AuthError::OtherDevice);
        }
        if self
            .blocked
            .as_ref()
            .is_some_and(|list| list.is_blocked(device))
        {
            return Err(AuthError::Blocked);
        }
        Ok(DeviceClaims { device, expires_at })
    }
}
