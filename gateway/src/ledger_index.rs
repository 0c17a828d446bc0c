//! What the ledger's events say: feeds, their clocks, and who has paid for what.

mod delta;
mod feeds;
mod interner;
mod paid;
mod pauses;
mod records;
mod state;
mod subscriptions;

use std::sync::Arc;

use ashya_contracts::{FeedClock, LedgerEvent};
use ashya_protocol::rest::FeedState;
use ashya_protocol::ws::EndReason;
use ashya_protocol::{
    Address, DeviceId, Domain, FeedId, FeedName, Hash, Listing, ListingStream, Offer, Wei, limits,
};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::access::{self, Access};
use crate::registration_policy::RegistrationPolicy;

pub(crate) use delta::{Delta, Snapshot, Stepped};
pub(crate) use feeds::LedgerVersion;
use feeds::Versions;
pub(crate) use paid::Paid;
pub(crate) use pauses::Pauses;
pub(crate) use records::{FeedRecord, SubscriptionKey, SubscriptionRecord};
use state::State;

/// The ledger as its events tell it. Cheap to clone; applying an event twice changes nothing.
#[derive(Debug, Clone)]
pub struct LedgerIndex {
    domain: Domain,
    state: Arc<RwLock<State>>,
    versions: Versions,
}

/// A listing document that the gateway holds, with the exact text that was signed.
#[derive(Debug, PartialEq, Eq)]
pub struct ListingDocument {
    /// Keccak-256 of [`Self::text`].
    pub hash: Hash,
    /// The canonical JSON.
    pub text: String,
    /// What it says.
    pub listing: Listing,
}

/// A feed at one moment.
#[derive(Debug, Clone)]
pub struct FeedView {
    /// The feed.
    pub id: FeedId,
    /// Its device now.
    pub device: DeviceId,
    /// Its name on the ledger.
    pub name: FeedName,
    /// The wallet that owns it.
    pub owner: Address,
    /// Price in wei per second.
    pub price: Wei,
    /// Hash of its listing on the ledger.
    pub listing: Hash,
    /// Its clock.
    pub clock: FeedClock,
    /// The document behind [`Self::listing`], where the gateway holds it and the owner may sell here: what is shown.
    pub document: Option<Arc<ListingDocument>>,
    /// The same, whoever owns the feed by now: what those get who have paid.
    pub sold: Option<Arc<ListingDocument>>,
}

/// One payer's subscription for one beneficiary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionView {
    /// The feed.
    pub feed: FeedId,
    /// Who may watch.
    pub beneficiary: Address,
    /// Who paid.
    pub payer: Address,
    /// Price in wei per second that was agreed.
    pub price: Wei,
    /// First second of access, in feed time.
    pub start: u64,
    /// First second without access, in feed time.
    pub expiry: u64,
    /// Block of the last payment or cancel.
    pub block: u64,
}

impl FeedView {
    /// The streams that the listing names; none where the gateway does not show the document.
    pub fn streams(&self) -> &[ListingStream] {
        self.document
            .as_ref()
            .map_or(&[], |document| &document.listing.streams)
    }

    /// Whether it can be bought now. A retired feed may still run to its hour's end, but nobody can buy it any more.
    pub fn state(&self) -> FeedState {
        if self.clock.retires_at.is_some() {
            FeedState::Retired
        } else if self.clock.paused_at.is_some() {
            FeedState::Paused
        } else {
            FeedState::Open
        }
    }
}

impl LedgerIndex {
    /// An index of the ledger of `domain` that knows of no feed yet.
    pub fn new(domain: Domain) -> Self {
        let state = State::default();
        Self {
            domain,
            versions: state.versions(),
            state: Arc::new(RwLock::new(state)),
        }
    }

    /// The chain and ledger that this is an index of.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// One feed, if it was opened.
    pub fn feed(&self, id: FeedId) -> Option<FeedView> {
        self.state.read().view(id)
    }

    /// Every feed, in the order of their ids.
    pub fn feeds(&self) -> Vec<FeedView> {
        let state = self.state.read();
        state.ids().filter_map(|id| state.view(id)).collect()
    }

    /// The feeds that sell a device.
    pub fn feeds_of_device(&self, device: DeviceId) -> Vec<FeedId> {
        self.state.read().feeds_of_device(device)
    }

    /// The feeds whose clocks `wallet` may stop beside their owners.
    pub(crate) fn feeds_of_pauser(&self, wallet: Address) -> Vec<FeedView> {
        let state = self.state.read();
        let ids = state.ids().filter(|id| {
            let record = state.record(*id);
            record.is_some_and(|record| record.pauser == wallet)
        });
        ids.filter_map(|id| state.view(id)).collect()
    }

    /// Whether anybody's paid time of a feed is running at chain time `now` (Unix seconds). Looks at all subscriptions
    /// only where those that ended last were cut short since, and then once.
    pub(crate) fn has_live_subscription(&self, feed: FeedId, now: u64) -> bool {
        let is_live = self.state.read().has_live_subscription(feed, now);
        is_live.unwrap_or_else(|| {
            let mut state = self.state.write();
            state.find_last_expiries();
            state.has_live_subscription(feed, now) == Some(true)
        })
    }

    /// What `wallet` may do with a feed at chain time `now` (Unix seconds); denied for a feed that is not there.
    pub fn access(&self, feed: FeedId, wallet: Address, now: u64) -> Access {
        let state = self.state.read();
        let Some(record) = state.record(feed) else {
            return Access::Denied;
        };
        let paid = state
            .subscriptions_for(feed, wallet)
            .map(|subscription| (subscription.start, subscription.expiry));
        access::decide(&record.clock, record.owner == wallet, paid, now)
    }

    /// What `wallet` has paid of a feed, by the ledger's words so far; nothing of a feed that is not there.
    pub(crate) fn paid(&self, feed: FeedId, wallet: Address) -> Option<Paid> {
        let state = self.state.read();
        let record = state.record(feed)?;
        let subscriptions = state.subscriptions_for(feed, wallet);
        let windows = subscriptions.flat_map(|subscription| {
            let windows: Vec<_> = subscription.windows().collect();
            windows
        });
        Some(Paid {
            windows: windows.collect(),
            clock: record.clock,
            pauses: record.pauses.clone(),
        })
    }

    /// Why a watch of `wallet` that was allowed by what it had paid `before` is not allowed at `now`.
    pub(crate) fn end_reason(
        &self,
        feed: FeedId,
        wallet: Address,
        now: u64,
        before: Option<&Paid>,
    ) -> EndReason {
        let state = self.state.read();
        let Some(record) = state.record(feed) else {
            return EndReason::Reorg;
        };
        let last = state
            .subscriptions_for(feed, wallet)
            .max_by_key(|subscription| (subscription.expiry, subscription.cancelled));
        let clock = record.clock;
        // Whatever else happens to a purchase, it keeps its beginning.
        let is_undone = before.and_then(Paid::last_start).is_some_and(|start| {
            let covers = |(from, until)| from <= start && start <= until;
            let mut subscriptions = state.subscriptions_for(feed, wallet);
            !subscriptions.any(|subscription| subscription.windows().any(covers))
        });
        match last {
            _ if is_undone => EndReason::Reorg,
            // Only an owner watches without a subscription, and only a transfer takes that away.
            None => EndReason::Cancelled,
            Some(last) if last.cancelled => EndReason::Cancelled,
            Some(last) if access::has_ended(&clock, now) && last.expiry >= clock.feed_time(now) => {
                EndReason::Retired
            }
            Some(_) => EndReason::Expired,
        }
    }

    /// How a feed is paid for; `None` unless it is open, since the ledger would refuse.
    pub fn offer(&self, feed: &FeedView) -> Option<Offer> {
        (feed.state() == FeedState::Open).then_some(Offer {
            feed: feed.id,
            price: feed.price,
            listing: feed.listing,
            chain_id: self.domain.chain_id,
            ledger: self.domain.ledger,
            minimum: limits::MIN_SUBSCRIPTION_SECONDS,
        })
    }

    /// Subscriptions that `wallet` paid for or may use, with their feeds' order.
    pub fn subscriptions_of(&self, wallet: Address) -> Vec<SubscriptionView> {
        self.state.read().subscriptions_of(wallet)
    }

    /// Changes whenever the feed itself changes: its terms, its owner, its clock, or the listing that is held of it.
    /// For a feed that is not there it changes when any feed is opened.
    pub fn changes(&self, feed: FeedId) -> watch::Receiver<u64> {
        self.state.read().changes(feed)
    }

    /// Changes whenever [`Self::changes`] does, and when what `wallet` has paid of the feed changes; what others have
    /// paid wakes nobody here.
    pub fn changes_for(&self, feed: FeedId, wallet: Address) -> watch::Receiver<u64> {
        self.state.write().changes_for(feed, wallet)
    }

    /// Differs from every version before it as soon as anybody's access may: a decision holds while it stays the same.
    pub(crate) fn version(&self) -> LedgerVersion {
        self.versions.current()
    }

    /// Shows from now on only listings of feeds that their owners may sell here.
    pub(crate) fn set_policy(&self, policy: RegistrationPolicy) {
        self.state.write().set_policy(policy);
    }

    /// Holds a listing document for a feed. It is shown while its hash is the ledger's, and the feed's owner may sell
    /// here.
    pub fn set_document(&self, feed: FeedId, document: Arc<ListingDocument>) {
        self.state.write().set_document(feed, document);
    }

    /// Takes blocks back by what was before them, newest first, and applies the events of others, each with its number,
    /// in one move: nobody sees a state between, and only those are told for whom the outcome differs.
    pub(crate) fn step<'a>(
        &self,
        undos: impl IntoIterator<Item = &'a Delta>,
        blocks: impl IntoIterator<Item = (u64, &'a [LedgerEvent])>,
    ) -> Stepped {
        self.state.write().step(undos, blocks)
    }

    /// Applies events, each as a block of its own, and all as the first.
    #[cfg(test)]
    pub(crate) fn apply<'a>(&self, events: impl IntoIterator<Item = &'a LedgerEvent>) {
        let blocks = events.into_iter().map(std::slice::from_ref);
        self.step([], blocks.map(|events| (1, events)));
    }

    /// Everything that the events have built, to be kept.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.read().snapshot()
    }

    /// Replaces everything that events have built, and tells those for whom it differs. Listing documents stay.
    pub(crate) fn replace(&self, snapshot: &Snapshot) {
        self.state.write().replace(snapshot);
    }
}

#[cfg(test)]
mod tests;
