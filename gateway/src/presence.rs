//! Which devices are connected now.

use std::collections::BTreeSet;
use std::sync::Arc;

use ashya_protocol::DeviceId;
use parking_lot::RwLock;
use tokio::sync::broadcast;

/// Changes that a slow reader may fall behind before it must ask [`Presence::is_online`] afresh.
const CHANGES_KEPT: usize = 1024;

/// Longest presence text, in bytes: `online` or `offline`, with room.
pub(crate) const MAX_BYTES: usize = 64;
/// What a device says when it leaves on purpose.
const OFFLINE: &[u8] = b"offline";

/// The devices that are connected. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Presence {
    online: Arc<RwLock<BTreeSet<(DeviceId, Door)>>>,
    changes: broadcast::Sender<(DeviceId, bool)>,
}

/// Where a device is connected. Nobody who speaks at one door takes a device away that stands at the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// The embedded broker.
    Broker,
    /// A broker of the owner's own.
    Bridge,
}

/// What is said of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is there.
    Online,
    /// It is gone.
    Offline,
}

impl Word {
    /// What a device means that publishes this as its presence. Nothing is what clears a retained message.
    pub(crate) fn of_payload(payload: &[u8]) -> Self {
        if payload.is_empty() || payload == OFFLINE {
            Self::Offline
        } else {
            Self::Online
        }
    }
}

impl Presence {
    /// Nobody is online.
    pub fn new() -> Self {
        Self {
            online: Arc::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        }
    }

    /// Notes that a device came or went.
    pub(crate) fn set(&self, door: Door, device: DeviceId, word: Word) {
        let mut set = self.online.write();
        let before = stands(&set, device);
        match word {
            Word::Online => set.insert((device, door)),
            Word::Offline => set.remove(&(device, door)),
        };
        let after = stands(&set, device);
        // Sent under the lock, so that changes arrive in the order in which they happened. Nobody listening is fine.
        if after != before {
            let _ = self.changes.send((device, after));
        }
    }

    /// Whether the device is connected now.
    pub fn is_online(&self, device: DeviceId) -> bool {
        stands(&self.online.read(), device)
    }

    /// Devices that come (`true`) and go (`false`) from now on. After `Lagged`, ask [`Self::is_online`].
    pub fn changes(&self) -> broadcast::Receiver<(DeviceId, bool)> {
        self.changes.subscribe()
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

fn stands(online: &BTreeSet<(DeviceId, Door)>, device: DeviceId) -> bool {
    let doors = (device, Door::Broker)..=(device, Door::Bridge);
    online.range(doors).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_online_while_it_stands_at_a_door() {
        let (presence, device) = (Presence::new(), DeviceId::new([1; 20]));
        let mut changes = presence.changes();
        for (door, word, expected, told) in [
            (Door::Broker, Word::Online, true, Some(true)),
            (Door::Bridge, Word::Offline, true, None),
            (Door::Bridge, Word::Online, true, None),
            (Door::Broker, Word::Offline, true, None),
            (Door::Bridge, Word::Offline, false, Some(false)),
        ] {
            presence.set(door, device, word);
            assert_eq!(presence.is_online(device), expected, "{door:?} {word:?}");
            let change = changes.try_recv().ok().map(|(_, online)| online);
            assert_eq!(change, told, "{door:?} {word:?}");
        }
    }

    #[test]
    fn a_device_says_that_it_is_there() {
        for (payload, word) in [
            ("online", Word::Online),
            ("1", Word::Online),
            ("offline", Word::Offline),
            ("", Word::Offline),
        ] {
            assert_eq!(Word::of_payload(payload.as_bytes()), word, "{payload}");
        }
    }
}
