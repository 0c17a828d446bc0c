use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ashya_contracts::LedgerEvent;
use ashya_protocol::{Address, DeviceId, FeedId};
use tokio::sync::watch;

use super::feeds::{Feeds, Versions};
use super::subscriptions::{LastExpiry, Subscriptions};
use super::{
    Delta, FeedRecord, FeedView, ListingDocument, Snapshot, Stepped, SubscriptionKey,
    SubscriptionRecord, SubscriptionView,
};
use crate::registration_policy::RegistrationPolicy;

/// Feeds, subscriptions and the ways to find them.
#[derive(Debug, Default)]
pub(super) struct State {
    feeds: Feeds,
    subscriptions: Subscriptions,
    /// Documents may come before the event that names them, and stay when the index is rebuilt.
    documents: HashMap<FeedId, Arc<ListingDocument>>,
    /// Who may sell here.
    policy: RegistrationPolicy,
}

impl State {
    pub(super) fn versions(&self) -> Versions {
        self.feeds.versions()
    }

    pub(super) fn record(&self, feed: FeedId) -> Option<&FeedRecord> {
        self.feeds.get(feed)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = FeedId> {
        self.feeds.iter().map(|(id, _)| id)
    }

    pub(super) fn view(&self, id: FeedId) -> Option<FeedView> {
        let record = self.record(id)?;
        let document = self.documents.get(&id);
        let sold = document.filter(|document| document.hash == record.listing);
        let may_sell = self.policy.admits(record.owner, record.device);
        Some(FeedView {
            id,
            device: record.device,
            name: record.name.clone(),
            owner: record.owner,
            price: record.price,
            listing: record.listing,
            clock: record.clock,
            document: sold.filter(|_| may_sell).cloned(),
            sold: sold.cloned(),
        })
    }

    pub(super) fn feeds_of_device(&self, device: DeviceId) -> Vec<FeedId> {
        self.feeds.of_device(device)
    }

    pub(super) fn subscriptions_for(
        &self,
        feed: FeedId,
        beneficiary: Address,
    ) -> impl Iterator<Item = SubscriptionRecord> {
        self.subscriptions.of(feed, beneficiary)
    }

    /// Whether anybody's paid time of a feed is running at chain time `now` (Unix seconds). `None` where
    /// [`Self::find_last_expiries`] has to find out.
    pub(super) fn has_live_subscription(&self, feed: FeedId, now: u64) -> Option<bool> {
        let Some(record) = self.record(feed) else {
            return Some(false);
        };
        let feed_time = record.clock.feed_time(now);
        match self.subscriptions.last_expiry(feed) {
            LastExpiry::At(expiry) => Some(expiry > feed_time),
            LastExpiry::Until(expiry) if expiry <= feed_time => Some(false),
            LastExpiry::Until(_) => None,
        }
    }

    pub(super) fn find_last_expiries(&mut self) {
        self.subscriptions.find_last_expiries();
    }

    pub(super) fn subscriptions_of(&self, wallet: Address) -> Vec<SubscriptionView> {
        let found = self.subscriptions.of_wallet(wallet).into_iter();
        found
            .map(|(key, record)| SubscriptionView {
                feed: key.feed,
                beneficiary: key.beneficiary,
                payer: key.payer,
                price: record.price,
                start: record.start,
                expiry: record.expiry,
                block: record.block,
            })
            .collect()
    }

    pub(super) fn changes(&self, feed: FeedId) -> watch::Receiver<u64> {
        self.feeds.changes(feed)
    }

    pub(super) fn changes_for(&mut self, feed: FeedId, wallet: Address) -> watch::Receiver<u64> {
        self.feeds.changes_for(feed, wallet)
    }

    pub(super) fn set_policy(&mut self, policy: RegistrationPolicy) {
        self.policy = policy;
    }

    pub(super) fn set_document(&mut self, feed: FeedId, document: Arc<ListingDocument>) {
        self.documents.insert(feed, document);
        self.feeds.tell(feed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let feeds = self.feeds.iter();
        Snapshot {
            feeds: feeds.map(|(id, record)| (id, record.clone())).collect(),
            subscriptions: self.subscriptions.all(),
        }
    }

    pub(super) fn step<'a>(
        &mut self,
        undos: impl IntoIterator<Item = &'a Delta>,
        blocks: impl IntoIterator<Item = (u64, &'a [LedgerEvent])>,
    ) -> Stepped {
        let mut before = Delta::default();
        for undo in undos {
            before.keep_older(&self.present(undo));
            self.set(undo);
        }
        let mut applied = Vec::new();
        for (block, events) in blocks {
            let mut undo = Delta::default();
            for event in events {
                self.apply(block, event, &mut undo);
            }
            before.keep_older(&undo);
            applied.push(undo);
        }
        self.tell_differences(&before);
        Stepped {
            undos: applied,
            changed: self.present(&before),
        }
    }

    /// Makes this the state of `snapshot`, and tells those for whom that is a difference.
    pub(super) fn replace(&mut self, snapshot: &Snapshot) {
        let before = self.snapshot();
        let feeds = snapshot.feeds.keys().chain(before.feeds.keys());
        let keys = snapshot.subscriptions.keys();
        let target = Delta {
            feeds: feeds
                .map(|id| (*id, snapshot.feeds.get(id).cloned()))
                .collect(),
            subscriptions: keys
                .chain(before.subscriptions.keys())
                .map(|key| (*key, snapshot.subscriptions.get(key).cloned()))
                .collect(),
        };
        let before = self.present(&target);
        self.set(&target);
        self.tell_differences(&before);
    }

    /// What is now of everything that `delta` names.
    fn present(&self, delta: &Delta) -> Delta {
        let (feeds, keys) = (delta.feeds.keys(), delta.subscriptions.keys());
        Delta {
            feeds: feeds
                .map(|id| (*id, self.feeds.get(*id).cloned()))
                .collect(),
            subscriptions: keys
                .map(|key| (*key, self.subscriptions.get(key)))
                .collect(),
        }
    }

    fn set(&mut self, delta: &Delta) {
        for (feed, record) in &delta.feeds {
            self.feeds.set(*feed, record.clone());
        }
        for (key, record) in &delta.subscriptions {
            self.subscriptions.set(key, record.clone());
        }
    }

    /// Tells those whom a difference between then and now concerns, each once and nobody else.
    fn tell_differences(&self, before: &Delta) {
        let mut told = HashSet::new();
        for (feed, record) in &before.feeds {
            if self.feeds.get(*feed) != record.as_ref() {
                self.feeds.tell(*feed);
                told.insert(*feed);
            }
        }
        for (key, record) in &before.subscriptions {
            let now = self.subscriptions.get(key);
            let same = match (&now, record) {
                (Some(now), Some(record)) => now.is_worth(record),
                (now, record) => now.is_none() && record.is_none(),
            };
            if !same && !told.contains(&key.feed) {
                self.feeds.tell_wallet(key.feed, key.beneficiary);
            }
        }
    }

    /// Applies one event of a block and notes in `undo` what was before it.
    fn apply(&mut self, block: u64, event: &LedgerEvent, undo: &mut Delta) {
        if let LedgerEvent::SubscriptionSet {
            feed,
            beneficiary,
            payer,
            price,
            start,
            expiry,
        } = event
        {
            let key = SubscriptionKey {
                feed: *feed,
                beneficiary: *beneficiary,
                payer: *payer,
            };
            let old = self.subscriptions.get(&key);
            let record = SubscriptionRecord::after(old.as_ref(), block, *price, *start, *expiry);
            undo.subscriptions.entry(key).or_insert(old);
            self.subscriptions.set(&key, Some(record));
            return;
        }
        let Some(feed) = feed_of(event) else { return };
        let old = self.feeds.get(feed);
        match FeedRecord::after(old, event) {
            Some(record) => {
                undo.feeds.entry(feed).or_insert_with(|| old.cloned());
                self.feeds.set(feed, Some(record));
            }
            None => tracing::warn!(feed.id = %feed, "an event names a feed that was never opened"),
        }
    }
}

/// The feed whose record an event changes.
fn feed_of(event: &LedgerEvent) -> Option<FeedId> {
    match event {
        LedgerEvent::FeedOpened { feed, .. }
        | LedgerEvent::FeedSet { feed, .. }
        | LedgerEvent::FeedClock { feed, .. }
        | LedgerEvent::FeedTransferred { feed, .. } => Some(*feed),
        LedgerEvent::SubscriptionSet { .. } | LedgerEvent::Withdrawn { .. } => None,
    }
}
