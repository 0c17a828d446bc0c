use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ashya_protocol::{Address, DeviceId, FeedId};
use tokio::sync::watch;

use super::FeedRecord;

/// Wallets of a feed that may be looked out for before those whose watchers are gone are forgotten.
const FIRST_SWEEP: usize = 16;

/// Every feed, and who wants to know when one changes.
#[derive(Debug)]
pub(super) struct Feeds {
    entries: BTreeMap<FeedId, FeedEntry>,
    by_device: HashMap<DeviceId, BTreeSet<FeedId>>,
    /// Counts opened feeds, for those who wait for one.
    opened: watch::Sender<u64>,
    versions: Versions,
}

/// Counts what was told to anybody. Cheap to clone, and to ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions(Arc<AtomicU64>);

/// A state of the ledger between two changes that concern anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LedgerVersion(u64);

#[derive(Debug)]
struct FeedEntry {
    /// None once a reorg has taken the feed away; its watchers are told when it comes again.
    record: Option<FeedRecord>,
    watchers: Watchers,
}

/// Who wants to know when a feed changes.
#[derive(Debug)]
struct Watchers {
    /// Those who care for the feed itself.
    feed: watch::Sender<u64>,
    /// Those who also care for what one wallet has paid of it.
    wallets: HashMap<Address, watch::Sender<u64>>,
    /// How many wallets there may be before the next sweep.
    sweep_at: usize,
}

impl Default for Feeds {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_device: HashMap::new(),
            opened: watch::Sender::new(0),
            versions: Versions::default(),
        }
    }
}

impl Feeds {
    pub(super) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    pub(super) fn get(&self, feed: FeedId) -> Option<&FeedRecord> {
        self.entries.get(&feed)?.record.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (FeedId, &FeedRecord)> {
        let entries = self.entries.iter();
        entries.filter_map(|(id, entry)| Some((*id, entry.record.as_ref()?)))
    }

    pub(super) fn of_device(&self, device: DeviceId) -> Vec<FeedId> {
        let feeds = self.by_device.get(&device);
        feeds.into_iter().flatten().copied().collect()
    }

    /// Puts a record in place of the one before it, or takes the feed away.
    pub(super) fn set(&mut self, feed: FeedId, record: Option<FeedRecord>) {
        if record.is_none() && !self.entries.contains_key(&feed) {
            return;
        }
        let entry = self.entries.entry(feed);
        let entry = entry.or_insert_with(|| FeedEntry {
            record: None,
            watchers: Watchers::new(),
        });
        let device = record.as_ref().map(|record| record.device);
        let before = std::mem::replace(&mut entry.record, record);
        if before.is_none() && device.is_some() {
            bump(&self.opened);
        }
        if before.as_ref().map(|record| record.device) == device {
            return;
        }
        if let Some(before) = before
            && let Some(feeds) = self.by_device.get_mut(&before.device)
        {
            feeds.remove(&feed);
            if feeds.is_empty() {
                self.by_device.remove(&before.device);
            }
        }
        if let Some(device) = device {
            self.by_device.entry(device).or_default().insert(feed);
        }
    }

    pub(super) fn changes(&self, feed: FeedId) -> watch::Receiver<u64> {
        let entry = self.entries.get(&feed);
        let changes = entry.map(|entry| &entry.watchers.feed);
        changes.unwrap_or(&self.opened).subscribe()
    }

    pub(super) fn changes_for(&mut self, feed: FeedId, wallet: Address) -> watch::Receiver<u64> {
        match self.entries.get_mut(&feed) {
            Some(entry) => entry.watchers.wallet(wallet),
            None => self.opened.subscribe(),
        }
    }

    /// Tells all who look out for the feed or for anybody's part of it.
    pub(super) fn tell(&self, feed: FeedId) {
        if let Some(entry) = self.entries.get(&feed) {
            bump(&entry.watchers.feed);
            entry.watchers.wallets.values().for_each(bump);
        }
        self.versions.next();
    }

    /// Tells those who look out for what a wallet has paid of the feed, and nobody else.
    pub(super) fn tell_wallet(&self, feed: FeedId, wallet: Address) {
        let entry = self.entries.get(&feed);
        if let Some(watcher) = entry.and_then(|entry| entry.watchers.wallets.get(&wallet)) {
            bump(watcher);
        }
        self.versions.next();
    }
}

impl Versions {
    pub(super) fn current(&self) -> LedgerVersion {
        LedgerVersion(self.0.load(Ordering::Acquire))
    }

    /// Comes after everybody was told: who sees the new version sees what has changed.
    fn next(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl LedgerVersion {
    #[cfg(test)]
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Watchers {
    fn new() -> Self {
        Self {
            feed: watch::Sender::new(0),
            wallets: HashMap::new(),
            sweep_at: FIRST_SWEEP,
        }
    }

    fn wallet(&mut self, wallet: Address) -> watch::Receiver<u64> {
        if self.wallets.len() >= self.sweep_at {
            self.wallets
                .retain(|_, watcher| watcher.receiver_count() > 0);
            self.sweep_at = (self.wallets.len() * 2).max(FIRST_SWEEP);
        }
        let watcher = self.wallets.entry(wallet);
        watcher.or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

fn bump(watcher: &watch::Sender<u64>) {
    watcher.send_modify(|count| *count += 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(number: usize) -> Address {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Address::new(bytes)
    }

    #[test]
    fn wallets_that_nobody_looks_out_for_are_swept_away() {
        let mut watchers = Watchers::new();
        let kept = [0, 1, 2].map(|number| watchers.wallet(wallet(number)));
        let counts = (100..200).map(|number| {
            drop(watchers.wallet(wallet(number)));
            watchers.wallets.len()
        });
        assert_eq!(counts.max(), Some(FIRST_SWEEP));
        assert!(kept.iter().all(|watcher| watcher.has_changed().is_ok()));
    }

    #[test]
    fn a_sweep_in_vain_is_made_up_for_by_a_rest() {
        let mut watchers = Watchers::new();
        let kept: Vec<_> = (0..5 * FIRST_SWEEP)
            .map(|number| {
                let watcher = watchers.wallet(wallet(number));
                (watcher, watchers.sweep_at)
            })
            .collect();
        for (number, (_, sweep_at)) in kept.iter().enumerate() {
            let expected = match number / FIRST_SWEEP {
                0 => FIRST_SWEEP,
                1 => 2 * FIRST_SWEEP,
                2 | 3 => 4 * FIRST_SWEEP,
                _ => 8 * FIRST_SWEEP,
            };
            assert_eq!(*sweep_at, expected, "after wallet {number}");
        }
    }
}
