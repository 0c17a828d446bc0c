use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ashya_protocol::{Address, DeviceId, FeedId};
use tokio::sync::watch;

use super::{
    FeedRecord, FeedView, LedgerEvent, ListingDocument, SubscriptionKey, SubscriptionRecord,
    SubscriptionView,
};

/// What one batch of events changed, as absolute values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) feeds: BTreeMap<FeedId, FeedRecord>,
    pub(crate) subscriptions: BTreeMap<SubscriptionKey, SubscriptionRecord>,
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty() && self.subscriptions.is_empty()
    }
}

/// All feeds and subscriptions.
pub(crate) type Snapshot = Changed;

/// Feeds, subscriptions and the ways to find them.
#[derive(Debug)]
pub(super) struct State {
    feeds: BTreeMap<FeedId, FeedEntry>,
    /// Ordered by feed, then beneficiary, so that what one wallet holds of one feed is one short range.
    subscriptions: BTreeMap<SubscriptionKey, SubscriptionRecord>,
    by_device: HashMap<DeviceId, BTreeSet<FeedId>>,
    by_wallet: HashMap<Address, BTreeSet<SubscriptionKey>>,
    /// Documents may come before the event that names them, and stay when the index is rebuilt.
    documents: HashMap<FeedId, Arc<ListingDocument>>,
    /// Counts opened feeds, for those who wait for one.
    opened: watch::Sender<u64>,
}

#[derive(Debug)]
struct FeedEntry {
    record: FeedRecord,
    changes: watch::Sender<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            feeds: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            by_device: HashMap::new(),
            by_wallet: HashMap::new(),
            documents: HashMap::new(),
            opened: watch::Sender::new(0),
        }
    }
}

impl State {
    pub(super) fn record(&self, feed: FeedId) -> Option<&FeedRecord> {
        self.feeds.get(&feed).map(|entry| &entry.record)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = FeedId> {
        self.feeds.keys().copied()
    }

    pub(super) fn view(&self, id: FeedId) -> Option<FeedView> {
        let record = self.record(id)?;
        let document = self.documents.get(&id);
        Some(FeedView {
            id,
            device: record.device,
            name: record.name.clone(),
            owner: record.owner,
            price: record.price,
            listing: record.listing,
            clock: record.clock,
            document: document
                .filter(|document| document.hash == record.listing)
                .cloned(),
        })
    }

    pub(super) fn feeds_of_device(&self, device: DeviceId) -> Vec<FeedId> {
        let feeds = self.by_device.get(&device);
        feeds.into_iter().flatten().copied().collect()
    }

    pub(super) fn subscriptions_for(
        &self,
        feed: FeedId,
        beneficiary: Address,
    ) -> impl Iterator<Item = (&SubscriptionKey, &SubscriptionRecord)> {
        let key = |payer| SubscriptionKey {
            feed,
            beneficiary,
            payer,
        };
        self.subscriptions
            .range(key(Address::ZERO)..=key(Address::new([0xff; 20])))
    }

    pub(super) fn subscriptions_of(&self, wallet: Address) -> Vec<SubscriptionView> {
        let keys = self.by_wallet.get(&wallet).into_iter().flatten();
        keys.filter_map(|key| Some((key, self.subscriptions.get(key)?)))
            .map(|(key, record)| SubscriptionView {
                feed: key.feed,
                beneficiary: key.beneficiary,
                payer: key.payer,
                price: record.price,
                start: record.start,
                expiry: record.expiry,
            })
            .collect()
    }

    pub(super) fn changes(&self, feed: FeedId) -> watch::Receiver<u64> {
        let changes = self.feeds.get(&feed).map(|entry| &entry.changes);
        changes.unwrap_or(&self.opened).subscribe()
    }

    pub(super) fn set_document(&mut self, feed: FeedId, document: Arc<ListingDocument>) {
        self.documents.insert(feed, document);
        self.tell(feed);
    }

    pub(super) fn apply<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a LedgerEvent>,
    ) -> Changed {
        let mut changed = Changed::default();
        for event in events {
            self.apply_one(event, &mut changed);
        }
        let subscribed = changed.subscriptions.keys().map(|key| key.feed);
        let told: BTreeSet<FeedId> = changed.feeds.keys().copied().chain(subscribed).collect();
        for feed in told {
            self.tell(feed);
        }
        changed
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let feeds = self.feeds.iter();
        Snapshot {
            feeds: feeds
                .map(|(id, entry)| (*id, entry.record.clone()))
                .collect(),
            subscriptions: self.subscriptions.clone(),
        }
    }

    pub(super) fn replace(&mut self, snapshot: Snapshot) {
        let mut before = std::mem::take(&mut self.feeds);
        self.subscriptions.clear();
        self.by_device.clear();
        self.by_wallet.clear();
        for (id, record) in snapshot.feeds {
            // Watchers keep their receivers: the feed is the same, what is known of it may not be.
            let changes = before.remove(&id).map(|entry| entry.changes);
            self.put_feed(id, record, changes);
        }
        for (key, record) in snapshot.subscriptions {
            self.put_subscription(key, record);
        }
        let ids: Vec<FeedId> = self.ids().collect();
        for id in ids {
            self.tell(id);
        }
        for gone in before.into_values() {
            gone.changes.send_modify(|count| *count += 1);
        }
    }

    fn apply_one(&mut self, event: &LedgerEvent, changed: &mut Changed) {
        let feed = match event {
            LedgerEvent::FeedOpened {
                feed,
                device,
                name,
                owner,
                base,
            } => {
                if !self.feeds.contains_key(feed) {
                    let record = FeedRecord::opened(*device, name.clone(), *owner, *base);
                    self.put_feed(*feed, record, None);
                }
                *feed
            }
            LedgerEvent::FeedSet {
                feed,
                device,
                price,
                payout,
                pauser,
                listing,
            } => {
                self.change(*feed, |record| {
                    record.price = *price;
                    record.payout = *payout;
                    record.pauser = *pauser;
                    record.listing = *listing;
                });
                self.move_to_device(*feed, *device);
                *feed
            }
            LedgerEvent::FeedClock { feed, clock } => {
                // The event does not carry `base`, which never changes.
                self.change(*feed, |record| {
                    record.clock.paused_at = clock.paused_at;
                    record.clock.paused_total = clock.paused_total;
                    record.clock.paused_by = clock.paused_by;
                    record.clock.retires_at = clock.retires_at;
                });
                *feed
            }
            LedgerEvent::FeedTransferred { feed, to, .. } => {
                self.change(*feed, |record| record.owner = *to);
                *feed
            }
            LedgerEvent::SubscriptionSet {
                feed,
                beneficiary,
                payer,
                price,
                start,
                expiry,
            } => {
                let key = SubscriptionKey {
                    feed: *feed,
                    beneficiary: *beneficiary,
                    payer: *payer,
                };
                let old = self.subscriptions.get(&key);
                let record = SubscriptionRecord::after(old, *price, *start, *expiry);
                self.put_subscription(key, record);
                changed.subscriptions.insert(key, record);
                return;
            }
            LedgerEvent::Withdrawn { .. } => return,
        };
        match self.record(feed) {
            Some(record) => {
                changed.feeds.insert(feed, record.clone());
            }
            None => tracing::warn!(feed.id = %feed, "an event names a feed that was never opened"),
        }
    }

    fn change(&mut self, feed: FeedId, change: impl FnOnce(&mut FeedRecord)) {
        if let Some(entry) = self.feeds.get_mut(&feed) {
            change(&mut entry.record);
        }
    }

    fn move_to_device(&mut self, feed: FeedId, device: DeviceId) {
        let Some(entry) = self.feeds.get_mut(&feed) else {
            return;
        };
        let old = std::mem::replace(&mut entry.record.device, device);
        if let Some(feeds) = self.by_device.get_mut(&old) {
            feeds.remove(&feed);
        }
        self.by_device.entry(device).or_default().insert(feed);
    }

    fn put_feed(&mut self, id: FeedId, record: FeedRecord, changes: Option<watch::Sender<u64>>) {
        self.by_device.entry(record.device).or_default().insert(id);
        let changes = changes.unwrap_or_else(|| watch::Sender::new(0));
        self.feeds.insert(id, FeedEntry { record, changes });
        self.opened.send_modify(|count| *count += 1);
    }

    fn put_subscription(&mut self, key: SubscriptionKey, record: SubscriptionRecord) {
        for wallet in [key.beneficiary, key.payer] {
            self.by_wallet.entry(wallet).or_default().insert(key);
        }
        self.subscriptions.insert(key, record);
    }

    fn tell(&self, feed: FeedId) {
        if let Some(entry) = self.feeds.get(&feed) {
            entry.changes.send_modify(|count| *count += 1);
        }
    }
}
