//! What the ledger says in a world.

use std::sync::Arc;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::{Address, DeviceId, FeedId, Listing, ListingStream, Wei};

use super::{FEED, OWNER, START, World};
use crate::hub::tests::device_key;
use crate::ledger_index::{LedgerIndex, ListingDocument};

impl World {
    /// A subscription from the start until a Unix second.
    pub(crate) fn subscribe(&self, feed: FeedId, wallet: Address, until: u64) {
        self.subscribe_from(feed, wallet, START, until);
    }

    pub(crate) fn subscribe_from(&self, feed: FeedId, wallet: Address, from: u64, until: u64) {
        self.parts.index.apply(&[LedgerEvent::SubscriptionSet {
            feed,
            beneficiary: wallet,
            payer: wallet,
            price: Wei::new(5),
            start: from - START,
            expiry: until - START,
        }]);
    }

    /// A cancel sets the expiry to now.
    pub(crate) fn cancel(&self, feed: FeedId, wallet: Address) {
        let clock = self.parts.index.feed(feed).unwrap().clock;
        let now = clock.feed_time(self.parts.clock.now_seconds());
        self.subscribe(feed, wallet, START + now);
    }

    /// Gives the first feed to another owner.
    pub(crate) fn transfer(&self, to: Address) {
        let from = self.parts.index.feed(FEED).unwrap().owner;
        let feed = FEED;
        self.parts
            .index
            .apply(&[LedgerEvent::FeedTransferred { feed, from, to }]);
    }

    /// Gives the first feed another device.
    pub(crate) fn replace_device(&self) {
        let view = self.parts.index.feed(FEED).unwrap();
        self.parts.index.apply(&[LedgerEvent::FeedSet {
            feed: FEED,
            device: DeviceId::new([7; 20]),
            price: view.price,
            payout: OWNER,
            pauser: Address::ZERO,
            listing: view.listing,
        }]);
    }

    /// Sells the first feed for so many wei a second.
    pub(crate) fn set_price(&self, price: u128) {
        let view = self.parts.index.feed(FEED).unwrap();
        self.parts.index.apply(&[LedgerEvent::FeedSet {
            feed: FEED,
            device: view.device,
            price: Wei::new(price),
            payout: OWNER,
            pauser: Address::ZERO,
            listing: view.listing,
        }]);
    }

    /// Stops the clock of the first feed.
    pub(crate) fn pause(&self, at: u64) {
        self.set_clock(Some(at), 0);
    }

    /// The same, after so many seconds of pauses.
    pub(crate) fn pause_after(&self, at: u64, paused_total: u64) {
        self.set_clock(Some(at), paused_total);
    }

    /// Lets it run on after so many seconds of pauses.
    pub(crate) fn resume(&self, paused_total: u64) {
        self.set_clock(None, paused_total);
    }

    /// Retires the first feed, which runs to the end of its first hour.
    pub(crate) fn retire(&self) {
        self.parts.index.apply(&[LedgerEvent::FeedClock {
            feed: FEED,
            clock: ClockChange {
                paused_at: None,
                paused_total: 0,
                paused_by: None,
                retires_at: Some(3_600),
            },
        }]);
    }

    fn set_clock(&self, paused_at: Option<u64>, paused_total: u64) {
        self.set_clock_of(FEED, paused_at, paused_total);
    }

    /// What the ledger says of a feed's clock.
    pub(crate) fn set_clock_of(&self, feed: FeedId, paused_at: Option<u64>, paused_total: u64) {
        self.parts.index.apply(&[LedgerEvent::FeedClock {
            feed,
            clock: ClockChange {
                paused_at,
                paused_total,
                paused_by: paused_at.map(|_| OWNER),
                retires_at: None,
            },
        }]);
    }
}

/// Opens a feed with both streams for 5 wei a second.
pub(super) fn open_feed(index: &LedgerIndex, feed: FeedId) {
    let device = device_key().device_id();
    let listing = Listing {
        description: String::new(),
        device,
        name: "gate".parse().unwrap(),
        outage_seconds: None,
        privacy: String::new(),
        streams: ["detections", "frames"]
            .map(|name| ListingStream {
                events_per_minute: 300,
                name: name.parse().unwrap(),
            })
            .into(),
        title: "Gate".into(),
    };
    let text = listing.to_canonical_json().unwrap();
    let hash = Listing::hash_of(&text);
    index.apply(&[
        LedgerEvent::FeedOpened {
            feed,
            device,
            name: listing.name.clone(),
            owner: OWNER,
            base: START,
        },
        LedgerEvent::FeedSet {
            feed,
            device,
            price: Wei::new(5),
            payout: OWNER,
            pauser: Address::ZERO,
            listing: hash,
        },
    ]);
    index.set_document(
        feed,
        Arc::new(ListingDocument {
            hash,
            text,
            listing,
        }),
    );
}
