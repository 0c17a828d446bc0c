use std::collections::HashMap;
use std::sync::Arc;

use ashya_protocol::DeviceId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::presence::{Door, Presence, Word};

/// The one session of each device. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    live: HashMap<DeviceId, (u64, CancellationToken)>,
}

/// A device's place. While it is the newest, it speaks for the device's presence; dropping it leaves.
#[derive(Debug)]
pub(super) struct Place {
    sessions: Sessions,
    presence: Presence,
    metrics: Metrics,
    device: DeviceId,
    number: u64,
    /// Cancelled when a newer session of the device takes over.
    pub(super) taken_over: CancellationToken,
}

impl Sessions {
    /// Takes the device's place; an older session that holds it is told to end.
    pub(super) fn take(&self, device: DeviceId, presence: &Presence, metrics: &Metrics) -> Place {
        let taken_over = CancellationToken::new();
        let mut state = self.0.lock();
        state.last += 1;
        let number = state.last;
        if let Some((_, older)) = state.live.insert(device, (number, taken_over.clone())) {
            older.cancel();
        } else {
            metrics.devices_online.inc();
        }
        // Under the lock, as in `drop`: an older session's last word must not come after ours.
        presence.set(Door::Broker, device, Word::Online);
        drop(state);
        Place {
            sessions: self.clone(),
            presence: presence.clone(),
            metrics: metrics.clone(),
            device,
            number,
            taken_over,
        }
    }
}

impl Place {
    /// What the device says of its presence, unless a newer session speaks for it.
    pub(super) fn announce(&self, word: Word) {
        let state = self.sessions.0.lock();
        if state
            .live
            .get(&self.device)
            .is_some_and(|(number, _)| *number == self.number)
        {
            self.presence.set(Door::Broker, self.device, word);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.sessions.0.lock();
        if state
            .live
            .get(&self.device)
            .is_some_and(|(number, _)| *number == self.number)
        {
            state.live.remove(&self.device);
            self.presence.set(Door::Broker, self.device, Word::Offline);
            self.metrics.devices_online.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_session_takes_over_and_the_older_one_leaves_in_silence() {
        let (sessions, presence, metrics) = (Sessions::default(), Presence::new(), Metrics::new());
        let device = DeviceId::new([1; 20]);
        let older = sessions.take(device, &presence, &metrics);
        let newer = sessions.take(device, &presence, &metrics);
        assert!(older.taken_over.is_cancelled() && !newer.taken_over.is_cancelled());
        older.announce(Word::Offline);
        drop(older);
        assert!(presence.is_online(device));
        newer.announce(Word::Offline);
        assert!(!presence.is_online(device));
        newer.announce(Word::Online);
        assert_eq!(metrics.devices_online.get(), 1);
        drop(newer);
        assert!(!presence.is_online(device));
        assert_eq!(metrics.devices_online.get(), 0);
    }
}
