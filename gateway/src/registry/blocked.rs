//! The devices that the operator has shut out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ashya_protocol::DeviceId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::chain_clock::wall_clock;
use crate::store::{Store, StoreError};

/// Which devices are blocked; whoever holds a device's leash is told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blocklist {
    store: Store,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Unix seconds at which each was blocked.
    since: BTreeMap<DeviceId, u64>,
    /// Of the devices that are on one, with how many hold it.
    leashes: HashMap<DeviceId, (usize, CancellationToken)>,
}

/// Tells when a device is shut out.
#[derive(Debug)]
pub(crate) struct Leash {
    list: Blocklist,
    device: DeviceId,
    cut: CancellationToken,
}

impl Blocklist {
    /// Reads the list of a store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (key, since) in store.blocked.load::<u64>()? {
            let id: [u8; 20] = key.try_into().map_err(|_| StoreError::Key)?;
            state.since.insert(DeviceId::new(id), since);
        }
        Ok(Self {
            store,
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// Shuts a device out; its sessions end at once. False when it was out already. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub fn block(&self, device: DeviceId) -> Result<bool, StoreError> {
        let now = wall_clock().as_secs();
        let (is_new, since) = {
            let mut state = self.state.lock();
            let is_new = !state.since.contains_key(&device);
            let since = *state.since.entry(device).or_insert(now);
            // Under the lock, so that nobody lets go of it as of one that is not cut.
            if let Some((_, cut)) = state.leashes.remove(&device) {
                cut.cancel();
            }
            (is_new, since)
        };
        // Once more where it was out already: an earlier attempt may have failed here.
        self.store.blocked.put(device.as_bytes(), &since)?;
        self.store.flush_blocking()?;
        Ok(is_new)
    }

    /// Lets a device in again. False when it was not out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unblock(&self, device: DeviceId) -> Result<bool, StoreError> {
        if self.state.lock().since.remove(&device).is_none() {
            return Ok(false);
        }
        self.store.blocked.remove(device.as_bytes())?;
        self.store.flush_blocking()?;
        Ok(true)
    }

    /// Whether a device is shut out.
    pub fn is_blocked(&self, device: DeviceId) -> bool {
        self.state.lock().since.contains_key(&device)
    }

    /// The blocked devices with the Unix seconds at which they were blocked.
    pub fn all(&self) -> Vec<(DeviceId, u64)> {
        let state = self.state.lock();
        state.since.iter().map(|(id, at)| (*id, *at)).collect()
    }

    /// Cut when the device is shut out, at once when it is already.
    pub(crate) fn leash(&self, device: DeviceId) -> Leash {
        let mut state = self.state.lock();
        let cut = if state.since.contains_key(&device) {
            let cut = CancellationToken::new();
            cut.cancel();
            cut
        } else {
            let (holders, cut) = state.leashes.entry(device).or_default();
            *holders += 1;
            cut.clone()
        };
        Leash {
            list: self.clone(),
            device,
            cut,
        }
    }
}

impl Leash {
    /// Waits until it is cut.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> {
        self.cut.cancelled()
    }

    #[cfg(test)]
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let mut state = self.list.state.lock();
        // Once it is cut the list has let go of it, and what it holds is another.
        if self.cut.is_cancelled() {
            return;
        }
        if let Some((holders, _)) = state.leashes.get_mut(&self.device) {
            *holders -= 1;
            if *holders == 0 {
                state.leashes.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_device_is_cut_and_stays_out_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let [bad, good] = [1, 2].map(|byte| DeviceId::new([byte; 20]));
        {
            let list = Blocklist::load(Store::open(&path).unwrap()).unwrap();
            let (cut, kept) = (list.leash(bad), list.leash(good));
            assert!(list.block(bad).unwrap());
            assert!(!list.block(bad).unwrap());
            assert!(cut.is_cut() && !kept.is_cut());
            assert!(list.leash(bad).is_cut());
        }
        let list = Blocklist::load(Store::reopen(&path)).unwrap();
        assert!(list.is_blocked(bad) && !list.is_blocked(good));
        assert_eq!(list.all().len(), 1);
        assert!(list.unblock(bad).unwrap() && !list.unblock(bad).unwrap());
        assert!(!list.leash(bad).is_cut());
    }

    #[test]
    fn a_leash_is_forgotten_with_the_last_who_holds_it() {
        let list = Blocklist::load(Store::temporary()).unwrap();
        let device = DeviceId::new([1; 20]);
        let held = || list.state.lock().leashes.len();
        let (one, two) = (list.leash(device), list.leash(device));
        drop(one);
        assert_eq!(held(), 1);
        list.block(device).unwrap();
        list.unblock(device).unwrap();
        let later = list.leash(device);
        // What was cut is not the later one.
        drop(two);
        assert_eq!(held(), 1);
        drop(later);
        assert_eq!(held(), 0);
    }
}
