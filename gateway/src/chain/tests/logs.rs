//! Events as a node writes them: topics and data by the Solidity ABI.

use ashya_contracts::LedgerEvent;
use ashya_protocol::{Address, keccak256};

/// Topics and data of an event.
pub(super) fn encode(event: &LedgerEvent) -> (Vec<[u8; 32]>, Vec<u8>) {
    let (signature, indexed, data) = match event {
        LedgerEvent::FeedOpened {
            feed,
            device,
            name,
            owner,
            base,
        } => {
            let mut padded = [0; 32];
            padded[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
            (
                "FeedOpened(bytes32,address,bytes32,address,uint64)",
                vec![*feed.as_bytes(), left(device.as_bytes()), address(*owner)],
                vec![padded, number(u128::from(*base))],
            )
        }
        LedgerEvent::FeedSet {
            feed,
            device,
            price,
            payout,
            pauser,
            listing,
        } => (
            "FeedSet(bytes32,address,uint96,address,address,bytes32)",
            vec![*feed.as_bytes()],
            vec![
                left(device.as_bytes()),
                number(price.get()),
                address(*payout),
                address(*pauser),
                *listing.as_bytes(),
            ],
        ),
        LedgerEvent::FeedClock { feed, clock } => (
            "FeedClock(bytes32,uint64,uint64,address,uint64)",
            vec![*feed.as_bytes()],
            vec![
                number(clock.paused_at.unwrap_or(0).into()),
                number(clock.paused_total.into()),
                address(clock.paused_by.unwrap_or(Address::ZERO)),
                number(clock.retires_at.unwrap_or(0).into()),
            ],
        ),
        LedgerEvent::FeedTransferred { feed, from, to } => (
            "FeedTransferred(bytes32,address,address)",
            vec![*feed.as_bytes(), address(*from), address(*to)],
            vec![],
        ),
        LedgerEvent::SubscriptionSet {
            feed,
            beneficiary,
            payer,
            price,
            start,
            expiry,
        } => (
            "SubscriptionSet(bytes32,address,address,uint96,uint64,uint64)",
            vec![*feed.as_bytes(), address(*beneficiary), address(*payer)],
            vec![
                number(price.get()),
                number((*start).into()),
                number((*expiry).into()),
            ],
        ),
        LedgerEvent::Withdrawn {
            feed,
            payout,
            amount,
        } => (
            "Withdrawn(bytes32,address,uint256)",
            vec![*feed.as_bytes(), address(*payout)],
            vec![number(amount.get())],
        ),
    };
    let first = *keccak256(signature.as_bytes()).as_bytes();
    let topics = [first].into_iter().chain(indexed).collect();
    (topics, data.concat())
}

fn address(address: Address) -> [u8; 32] {
    left(address.as_bytes())
}

fn left(bytes: &[u8; 20]) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(bytes);
    word
}

fn number(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}
