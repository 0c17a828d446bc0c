//! Stand-ins with the shape of the `ashya_contracts` types, until that crate offers them.
#![allow(missing_docs)]

use ashya_protocol::{Address, DeviceId, FeedId, FeedName, Hash, Wei};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedClock {
    pub base: u64,
    pub paused_at: Option<u64>,
    pub paused_total: u64,
    pub paused_by: Option<Address>,
    pub retires_at: Option<u64>,
}

impl FeedClock {
    pub fn feed_time(&self, now: u64) -> u64 {
        let time = self
            .paused_at
            .unwrap_or(now)
            .saturating_sub(self.base)
            .saturating_sub(self.paused_total);
        self.retires_at.map_or(time, |end| time.min(end))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerEvent {
    FeedOpened {
        feed: FeedId,
        device: DeviceId,
        name: FeedName,
        owner: Address,
        base: u64,
    },
    FeedSet {
        feed: FeedId,
        device: DeviceId,
        price: Wei,
        payout: Address,
        pauser: Address,
        listing: Hash,
    },
    FeedClock {
        feed: FeedId,
        clock: FeedClock,
    },
    FeedTransferred {
        feed: FeedId,
        from: Address,
        to: Address,
    },
    SubscriptionSet {
        feed: FeedId,
        beneficiary: Address,
        payer: Address,
        price: Wei,
        start: u64,
        expiry: u64,
    },
    Withdrawn {
        feed: FeedId,
        payout: Address,
        amount: Wei,
    },
}
