//! MQTT passwords of devices.

use std::time::Duration;

use ashya_protocol::DeviceId;

use super::AuthError;
use super::tokens::Tokens;
use crate::chain_clock::wall_clock;
use crate::registry::{Blocklist, Leash};

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

    /// Cut when no password of the device is good any more; there is none without a list.
    pub(crate) fn leash(&self, device: DeviceId) -> Option<Leash> {
        let blocked = self.blocked.as_ref();
        blocked.map(|list| list.leash(device))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const KEY: &[u8] = &[7; 32];
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_password_is_one_devices_and_ends() {
        let [mine, other] = [1, 2].map(|byte| DeviceId::new([byte; 20]));
        let passwords = DevicePasswords::new(KEY, HOUR);
        let (good, ends) = passwords.issue(mine);
        let left = ends - wall_clock().as_secs();
        assert!((3_599..=3_600).contains(&left), "{left}");
        let stranger = DevicePasswords::new(&[8; 32], HOUR).issue(mine).0;
        let (late, _) = DevicePasswords::new(KEY, Duration::ZERO).issue(mine);
        let claims = DeviceClaims {
            device: mine,
            expires_at: ends,
        };
        for (name, user, password, expected) in [
            ("its own", mine.to_string(), &good, Ok(claims)),
            (
                "another's",
                other.to_string(),
                &good,
                Err(AuthError::OtherDevice),
            ),
            ("nobody's", "x".into(), &good, Err(AuthError::OtherDevice)),
            ("run out", mine.to_string(), &late, Err(AuthError::Expired)),
            (
                "foreign",
                mine.to_string(),
                &stranger,
                Err(AuthError::Invalid),
            ),
            (
                "none",
                mine.to_string(),
                &String::new(),
                Err(AuthError::Invalid),
            ),
        ] {
            assert_eq!(passwords.verify(&user, password), expected, "{name}");
        }
        assert!(passwords.leash(mine).is_none());
    }

    #[test]
    fn a_blocked_device_is_cut_and_its_password_is_no_longer_good() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = Blocklist::load(Store::open(&folder.path().join("store")).unwrap()).unwrap();
        let passwords = DevicePasswords::new(KEY, HOUR).except(blocked.clone());
        let [bad, good] = [1, 2].map(|byte| DeviceId::new([byte; 20]));
        let leashes = [bad, good].map(|device| passwords.leash(device).unwrap());
        blocked.block(bad).unwrap();
        assert_eq!(leashes.map(|leash| leash.is_cut()), [true, false]);
        for (device, expected) in [(bad, Some(AuthError::Blocked)), (good, None)] {
            let verdict = passwords.verify(&device.to_string(), &passwords.issue(device).0);
            assert_eq!(verdict.err(), expected, "{device}");
        }
    }
}
