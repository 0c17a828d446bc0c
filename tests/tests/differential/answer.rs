use ashya_protocol::{Address, FeedId, Hash, keccak256};

use crate::words::{Word, join, select};

/// What an accepted call leaves behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) returned: Vec<Word>,
    pub(crate) events: Vec<Event>,
}

/// An event of the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) signature: &'static str,
    pub(crate) indexed: Vec<Word>,
    pub(crate) data: Vec<Word>,
}

/// A log as the chain keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<Hash>,
    pub(crate) data: Vec<u8>,
}

impl Event {
    /// The event as the chain keeps it when `address` has written it.
    pub(crate) fn log(&self, address: Address) -> Log {
        let name = keccak256(self.signature.as_bytes());
        let indexed = self.indexed.iter().map(|word| Hash::new(*word.as_bytes()));
        Log {
            address,
            topics: std::iter::once(name).chain(indexed).collect(),
            data: join(&self.data),
        }
    }
}

/// Why a call is refused, with all that the ledger's error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Money for a function that takes none: the only refusal without data.
    NotPayable,
    /// Solidity's own error of an overflow.
    Overflow,
    FeedExists(FeedId),
    FeedUnknown(FeedId),
    FeedPaused(FeedId, u64),
    FeedNotPaused(FeedId),
    FeedRetired(FeedId, u64),
    Unauthorized(Address, Address),
    ZeroAddress,
    ZeroPrice,
    InvalidName([u8; 32]),
    DeadlinePassed(u64, u64),
    InvalidDeviceSignature(Address, Address),
    PriceAboveMax(u128, u128),
    PriceChanged(u128, u128),
    ListingMismatch(Hash, Hash),
    WrongPayment(u128, u128),
    DurationOutOfBounds(u64, u64, u64),
    SubscriptionLive(u64, u64),
    SubscriptionNotLive(u64, u64),
    PaymentFailed(Address, u128),
}

impl Refusal {
    /// Name of every refusal there is.
    pub(crate) const NAMES: [&str; 21] = [
        "DeadlinePassed",
        "DurationOutOfBounds",
        "FeedExists",
        "FeedNotPaused",
        "FeedPaused",
        "FeedRetired",
        "FeedUnknown",
        "InvalidDeviceSignature",
        "InvalidName",
        "ListingMismatch",
        "NotPayable",
        "Panic",
        "PaymentFailed",
        "PriceAboveMax",
        "PriceChanged",
        "SubscriptionLive",
        "SubscriptionNotLive",
        "Unauthorized",
        "WrongPayment",
        "ZeroAddress",
        "ZeroPrice",
    ];

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        let (signature, _) = self.parts();
        signature.split('(').next().unwrap_or(signature)
    }

    /// The data with which the ledger reverts.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self.parts() {
            ("NotPayable", _) => Vec::new(),
            (signature, arguments) => select(signature, &arguments),
        }
    }

    fn parts(&self) -> (&'static str, Vec<Word>) {
        match *self {
            Self::NotPayable => ("NotPayable", vec![]),
            Self::Overflow => ("Panic(uint256)", vec![0x11_u64.into()]),
            Self::FeedExists(feed) => ("FeedExists(bytes32)", vec![feed.into()]),
            Self::FeedUnknown(feed) => ("FeedUnknown(bytes32)", vec![feed.into()]),
            Self::FeedPaused(feed, at) => {
                ("FeedPaused(bytes32,uint64)", vec![feed.into(), at.into()])
            }
            Self::FeedNotPaused(feed) => ("FeedNotPaused(bytes32)", vec![feed.into()]),
            Self::FeedRetired(feed, at) => {
                ("FeedRetired(bytes32,uint64)", vec![feed.into(), at.into()])
            }
            Self::Unauthorized(caller, expected) => (
                "Unauthorized(address,address)",
                vec![caller.into(), expected.into()],
            ),
            Self::ZeroAddress => ("ZeroAddress()", vec![]),
            Self::ZeroPrice => ("ZeroPrice()", vec![]),
            Self::InvalidName(name) => ("InvalidName(bytes32)", vec![name.into()]),
            Self::DeadlinePassed(now, deadline) => (
                "DeadlinePassed(uint256,uint64)",
                vec![now.into(), deadline.into()],
            ),
            Self::InvalidDeviceSignature(recovered, device) => (
                "InvalidDeviceSignature(address,address)",
                vec![recovered.into(), device.into()],
            ),
            Self::PriceAboveMax(price, max) => (
                "PriceAboveMax(uint96,uint96)",
                vec![price.into(), max.into()],
            ),
            Self::PriceChanged(subscribed, current) => (
                "PriceChanged(uint96,uint96)",
                vec![subscribed.into(), current.into()],
            ),
            Self::ListingMismatch(listing, expected) => (
                "ListingMismatch(bytes32,bytes32)",
                vec![listing.into(), expected.into()],
            ),
            Self::WrongPayment(sent, expected) => (
                "WrongPayment(uint256,uint256)",
                vec![sent.into(), expected.into()],
            ),
            Self::DurationOutOfBounds(duration, minimum, maximum) => (
                "DurationOutOfBounds(uint64,uint64,uint64)",
                vec![duration.into(), minimum.into(), maximum.into()],
            ),
            Self::SubscriptionLive(expiry, now) => (
                "SubscriptionLive(uint64,uint64)",
                vec![expiry.into(), now.into()],
            ),
            Self::SubscriptionNotLive(expiry, now) => (
                "SubscriptionNotLive(uint64,uint64)",
                vec![expiry.into(), now.into()],
            ),
            Self::PaymentFailed(to, amount) => (
                "PaymentFailed(address,uint256)",
                vec![to.into(), amount.into()],
            ),
        }
    }
}
