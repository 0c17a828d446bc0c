//! Which devices are connected now.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ashya_protocol::DeviceId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// How many devices there are before those are first swept away of which nobody wants to know and that are not there.
const FIRST_SWEEP: usize = 64;

/// Longest presence text, in bytes: `online` or `offline`, with room.
pub(crate) const MAX_BYTES: usize = 64;
/// What a device says when it leaves on purpose.
const OFFLINE: &[u8] = b"offline";

/// The devices that are connected. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Presence(Arc<Mutex<Devices>>);

#[derive(Debug, Default)]
struct Devices {
    known: HashMap<DeviceId, Standing>,
    sweep_at: usize,
}

/// Where a device stands, and who wants to know.
#[derive(Debug, Default)]
struct Standing {
    doors: BTreeSet<Door>,
    /// Made for the first who wants to know.
    online: Option<watch::Sender<bool>>,
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
        Self::default()
    }

    /// Notes that a device came or went.
    pub(crate) fn set(&self, door: Door, device: DeviceId, word: Word) {
        let mut devices = self.0.lock();
        let standing = devices.of(device);
        match word {
            Word::Online => standing.doors.insert(door),
            Word::Offline => standing.doors.remove(&door),
        };
        let is_online = standing.is_online();
        // Told under the lock, so that changes arrive in the order in which they happened.
        if let Some(online) = &standing.online {
            online.send_if_modified(|told| std::mem::replace(told, is_online) != is_online);
        }
    }

    /// Whether the device is connected now.
    pub fn is_online(&self, device: DeviceId) -> bool {
        let devices = self.0.lock();
        let standing = devices.known.get(&device);
        standing.is_some_and(Standing::is_online)
    }

    /// Whether the device is connected, now and from now on.
    pub(crate) fn of(&self, device: DeviceId) -> watch::Receiver<bool> {
        let mut devices = self.0.lock();
        let standing = devices.of(device);
        let is_online = standing.is_online();
        let online = standing
            .online
            .get_or_insert_with(|| watch::Sender::new(is_online));
        online.subscribe()
    }
}

impl Standing {
    fn is_online(&self) -> bool {
        !self.doors.is_empty()
    }
}

impl Devices {
    fn of(&mut self, device: DeviceId) -> &mut Standing {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, standing| {
                standing
                    .online
                    .take_if(|online| online.receiver_count() == 0);
                standing.is_online() || standing.online.is_some()
            });
            self.sweep_at = (self.known.len() * 2).max(FIRST_SWEEP);
        }
        self.known.entry(device).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_online_while_it_stands_at_a_door() {
        let (presence, device) = (Presence::new(), DeviceId::new([1; 20]));
        let mut told = presence.of(device);
        for (door, word, expected, change) in [
            (Door::Broker, Word::Online, true, true),
            (Door::Bridge, Word::Offline, true, false),
            (Door::Bridge, Word::Online, true, false),
            (Door::Broker, Word::Offline, true, false),
            (Door::Bridge, Word::Offline, false, true),
        ] {
            presence.set(door, device, word);
            assert_eq!(presence.is_online(device), expected, "{door:?} {word:?}");
            assert_eq!(told.has_changed().unwrap(), change, "{door:?} {word:?}");
            assert_eq!(*told.borrow_and_update(), expected, "{door:?} {word:?}");
        }
    }

    #[test]
    fn only_those_who_look_out_for_a_device_are_told_of_it() {
        let presence = Presence::new();
        let [one, other] = [1, 2].map(|number| DeviceId::new([number; 20]));
        let [mut of_one, of_other] = [one, other].map(|device| presence.of(device));
        presence.set(Door::Broker, one, Word::Online);
        assert!(of_one.has_changed().unwrap() && *of_one.borrow_and_update());
        assert!(!of_other.has_changed().unwrap() && !*of_other.borrow());
    }

    #[test]
    fn devices_that_are_gone_and_that_nobody_looks_out_for_are_swept_away() {
        let presence = Presence::new();
        let device = |number: u16| {
            let mut bytes = [0; 20];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            DeviceId::new(bytes)
        };
        let mut awaited = presence.of(device(0));
        presence.set(Door::Bridge, device(1), Word::Online);
        for number in 2..2_000 {
            presence.set(Door::Broker, device(number), Word::Online);
            presence.set(Door::Broker, device(number), Word::Offline);
            let known = presence.0.lock().known.len();
            assert!(known <= FIRST_SWEEP, "{known} after {number}");
        }
        assert!(presence.is_online(device(1)));
        presence.set(Door::Broker, device(0), Word::Online);
        assert!(*awaited.borrow_and_update());
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
