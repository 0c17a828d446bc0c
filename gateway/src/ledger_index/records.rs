use ashya_contracts::{FeedClock, LedgerEvent};
use ashya_protocol::{Address, DeviceId, FeedId, FeedName, Hash, Wei};
use serde::{Deserialize, Serialize};

/// A feed as its events have it, and as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedRecord {
    pub(crate) device: DeviceId,
    pub(crate) name: FeedName,
    pub(crate) owner: Address,
    pub(crate) price: Wei,
    pub(crate) payout: Address,
    pub(crate) pauser: Address,
    pub(crate) listing: Hash,
    pub(crate) clock: FeedClock,
}

impl FeedRecord {
    /// A feed of which only its opening is known; `FeedSet` of the same transaction brings the rest.
    pub(crate) fn opened(device: DeviceId, name: FeedName, owner: Address, base: u64) -> Self {
        Self {
            device,
            name,
            owner,
            price: Wei::default(),
            payout: owner,
            pauser: Address::ZERO,
            listing: Hash::ZERO,
            clock: FeedClock {
                base,
                paused_at: None,
                paused_total: 0,
                paused_by: None,
                retires_at: None,
            },
        }
    }

    /// What an event makes of the record before it; `None` for an event of a feed that was never opened.
    pub(crate) fn after(old: Option<&Self>, event: &LedgerEvent) -> Option<Self> {
        if let LedgerEvent::FeedOpened {
            device,
            name,
            owner,
            base,
            ..
        } = event
        {
            let opened = || Self::opened(*device, name.clone(), *owner, *base);
            return Some(old.cloned().unwrap_or_else(opened));
        }
        let mut record = old?.clone();
        match event {
            LedgerEvent::FeedSet {
                device,
                price,
                payout,
                pauser,
                listing,
                ..
            } => {
                record.device = *device;
                record.price = *price;
                record.payout = *payout;
                record.pauser = *pauser;
                record.listing = *listing;
            }
            // The event does not carry `base`, which never changes.
            LedgerEvent::FeedClock { clock, .. } => {
                record.clock.paused_at = clock.paused_at;
                record.clock.paused_total = clock.paused_total;
                record.clock.paused_by = clock.paused_by;
                record.clock.retires_at = clock.retires_at;
            }
            LedgerEvent::FeedTransferred { to, .. } => record.owner = *to,
            LedgerEvent::FeedOpened { .. }
            | LedgerEvent::SubscriptionSet { .. }
            | LedgerEvent::Withdrawn { .. } => {}
        }
        Some(record)
    }
}

/// Whose subscription: the ledger keeps one for each payer and beneficiary of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SubscriptionKey {
    pub(crate) feed: FeedId,
    pub(crate) beneficiary: Address,
    pub(crate) payer: Address,
}

/// A subscription in feed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRecord {
    pub(crate) price: Wei,
    pub(crate) start: u64,
    pub(crate) expiry: u64,
    /// Whether its end was moved back, which only a cancel does.
    pub(crate) cancelled: bool,
}

impl SubscriptionRecord {
    /// What a `SubscriptionSet` makes of the record before it.
    pub(crate) fn after(old: Option<&Self>, price: Wei, start: u64, expiry: u64) -> Self {
        let cancelled = old.is_some_and(|old| {
            old.start == start && (expiry < old.expiry || (expiry == old.expiry && old.cancelled))
        });
        Self {
            price,
            start,
            expiry,
            cancelled,
        }
    }
}
