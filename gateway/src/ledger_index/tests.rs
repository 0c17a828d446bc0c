//! What the events put into the index comes out of it.

mod access;
mod changes;
mod end_reason;
mod feeds;
mod reorg;
mod replay;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::{Address, DeviceId, Domain, FeedId, Hash, Wei};

use super::LedgerIndex;

const OWNER: Address = Address::new([1; 20]);
const ALICE: Address = Address::new([2; 20]);
const BOB: Address = Address::new([3; 20]);
const CAMERA: DeviceId = DeviceId::new([4; 20]);
const FEED: FeedId = FeedId::new([5; 32]);
const BASE: u64 = 1_000;

fn index() -> LedgerIndex {
    LedgerIndex::new(Domain {
        chain_id: 31_337,
        ledger: Address::new([9; 20]),
    })
}

fn opened(feed: FeedId) -> LedgerEvent {
    LedgerEvent::FeedOpened {
        feed,
        device: CAMERA,
        name: "gate".parse().unwrap(),
        owner: OWNER,
        base: BASE,
    }
}

fn set(device: DeviceId, price: u128, listing: u8) -> LedgerEvent {
    LedgerEvent::FeedSet {
        feed: FEED,
        device,
        price: Wei::new(price),
        payout: OWNER,
        pauser: Address::ZERO,
        listing: Hash::new([listing; 32]),
    }
}

fn subscribed(payer: Address, start: u64, expiry: u64) -> LedgerEvent {
    LedgerEvent::SubscriptionSet {
        feed: FEED,
        beneficiary: ALICE,
        payer,
        price: Wei::new(5),
        start,
        expiry,
    }
}

fn clock(paused_at: Option<u64>, paused_total: u64, retires_at: Option<u64>) -> LedgerEvent {
    LedgerEvent::FeedClock {
        feed: FEED,
        clock: ClockChange {
            paused_at,
            paused_total,
            paused_by: paused_at.map(|_| OWNER),
            retires_at,
        },
    }
}

/// A history in which everything happens.
fn history() -> Vec<LedgerEvent> {
    vec![
        opened(FEED),
        set(CAMERA, 5, 1),
        subscribed(ALICE, 10, 100),
        subscribed(BOB, 20, 500),
        clock(Some(BASE + 50), 0, None),
        clock(None, 25, None),
        subscribed(ALICE, 10, 60),
        set(DeviceId::new([6; 20]), 7, 2),
        LedgerEvent::FeedTransferred {
            feed: FEED,
            from: OWNER,
            to: BOB,
        },
        LedgerEvent::Withdrawn {
            feed: FEED,
            payout: OWNER,
            amount: Wei::new(1),
        },
        clock(None, 25, Some(3_600)),
    ]
}
