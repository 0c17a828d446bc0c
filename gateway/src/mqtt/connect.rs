use std::time::Duration;

use ashya_protocol::{DeviceId, Topic};

use super::wire::{Connect, ConnectRefusal};
use crate::auth::device_passwords::DevicePasswords;
use crate::presence;

/// Longest silence of a client, whatever it asks for: a device that is gone must not stay online for hours.
const MAX_KEEP_ALIVE_SECONDS: u16 = 600;

/// A device that may have a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) device: DeviceId,
    /// Unix second (wall clock) at which the password ends, and the session with it.
    pub(super) expires_at: u64,
    pub(super) keep_alive_seconds: u16,
}

impl Admission {
    /// Silence after which the session ends: one and a half times the keep-alive (MQTT 3.1.1, 3.1.2.10).
    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.keep_alive_seconds) * 1500)
    }
}

/// Decides about a CONNECT: whose it is, and that its last will touches nothing but the device's own presence.
///
/// The client id is not looked at: a device has one session, whatever it calls itself.
pub(super) fn admit(
    connect: &Connect,
    passwords: &DevicePasswords,
) -> Result<Admission, ConnectRefusal> {
    if connect.enhanced {
        return Err(ConnectRefusal::Unsupported);
    }
    let (Some(username), Some(password)) = (&connect.username, &connect.password) else {
        return Err(ConnectRefusal::Credentials);
    };
    let claims = passwords
        .verify(username, password)
        .map_err(|_| ConnectRefusal::Credentials)?;
    if let Some(will) = &connect.will {
        let own_presence = Topic::Presence(claims.device).to_string();
        if will.topic != own_presence || will.payload.len() > presence::MAX_BYTES {
            return Err(ConnectRefusal::NotAuthorized);
        }
    }
    Ok(Admission {
        device: claims.device,
        expires_at: claims.expires_at,
        keep_alive_seconds: match connect.keep_alive_seconds {
            0 => MAX_KEEP_ALIVE_SECONDS,
            seconds => seconds.min(MAX_KEEP_ALIVE_SECONDS),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::wire::Will;

    #[test]
    fn only_the_device_itself_with_a_will_of_its_own_gets_in() {
        let passwords = DevicePasswords::new(b"secret", Duration::from_secs(60));
        let [me, other] = [1, 2].map(|byte| DeviceId::new([byte; 20]));
        let (password, _) = passwords.issue(me);
        let (stale, _) = DevicePasswords::new(b"other secret", Duration::from_secs(60)).issue(me);
        let presence = |device| Topic::Presence(device).to_string();
        let up = format!("ashya/v1/{me}/up/detections");
        for (name, user, password, will, expected) in [
            ("plain", me, &password, None, Ok(me)),
            ("own will", me, &password, Some((presence(me), 7)), Ok(me)),
            (
                "long will",
                me,
                &password,
                Some((presence(me), 65)),
                Err(ConnectRefusal::NotAuthorized),
            ),
            (
                "foreign will",
                me,
                &password,
                Some((presence(other), 7)),
                Err(ConnectRefusal::NotAuthorized),
            ),
            (
                "event as will",
                me,
                &password,
                Some((up, 7)),
                Err(ConnectRefusal::NotAuthorized),
            ),
            (
                "foreign password",
                other,
                &password,
                None,
                Err(ConnectRefusal::Credentials),
            ),
            (
                "another gateway's",
                me,
                &stale,
                None,
                Err(ConnectRefusal::Credentials),
            ),
        ] {
            let connect = Connect {
                keep_alive_seconds: 5,
                username: Some(user.to_string()),
                password: Some(password.clone()),
                will: will.map(|(topic, bytes)| Will {
                    topic,
                    payload: vec![b'x'; bytes].into(),
                }),
                enhanced: false,
            };
            let outcome = admit(&connect, &passwords).map(|admission| admission.device);
            assert_eq!(outcome, expected, "{name}");
        }
    }
}
