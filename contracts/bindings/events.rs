use ashya_protocol::{Address, DeviceId, FeedId, FeedName, Hash, Wei};
use ethers::contract::{EthEvent, EthLogDecode};
use ethers::types::{H256, Log};
use serde::{Deserialize, Serialize};

use crate::abi::{
    FeedClockFilter, FeedLedgerEvents, FeedOpenedFilter, FeedSetFilter, FeedTransferredFilter,
    SubscriptionSetFilter, WithdrawnFilter,
};
use crate::convert::{address, feed_name, hash, non_zero, somebody, uint64, wei};
use crate::error::ChainError;
use crate::records::ClockChange;

/// A change of the ledger. All carry absolute values, so applying one twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerEvent {
    /// A feed was opened; its clock runs since `base`.
    FeedOpened {
        /// The feed.
        feed: FeedId,
        /// Its first device.
        device: DeviceId,
        /// Its name.
        name: FeedName,
        /// Its provider.
        owner: Address,
        /// Unix second at which it was opened.
        base: u64,
    },
    /// The terms of a feed.
    FeedSet {
        /// The feed.
        feed: FeedId,
        /// The device whose events are sold.
        device: DeviceId,
        /// Wei per second for new subscriptions.
        price: Wei,
        /// Where withdrawals go.
        payout: Address,
        /// Who may pause beside the owner, or zero.
        pauser: Address,
        /// Hash of the listing document.
        listing: Hash,
    },
    /// The clock of a feed after a pause, a resume or the retirement.
    FeedClock {
        /// The feed.
        feed: FeedId,
        /// What changed.
        clock: ClockChange,
    },
    /// The feed has another owner.
    FeedTransferred {
        /// The feed.
        feed: FeedId,
        /// Who owned it.
        from: Address,
        /// Who owns it.
        to: Address,
    },
    /// A subscription after it was bought, extended or cancelled.
    SubscriptionSet {
        /// The feed.
        feed: FeedId,
        /// Who may watch.
        beneficiary: Address,
        /// Who paid.
        payer: Address,
        /// Wei per second that was agreed.
        price: Wei,
        /// First second of access, in feed time.
        start: u64,
        /// First second without access, in feed time.
        expiry: u64,
    },
    /// Earnings were paid out.
    Withdrawn {
        /// The feed.
        feed: FeedId,
        /// Who received them.
        payout: Address,
        /// How much.
        amount: Wei,
    },
}

/// An event and its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Height of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: Hash,
    /// Its number within the block.
    pub log_index: u64,
    /// What happened.
    pub event: LedgerEvent,
}

/// First topics of the events that are read. An offered transfer is not among them: it changes nothing yet.
pub(crate) fn topics() -> Vec<H256> {
    vec![
        FeedOpenedFilter::signature(),
        FeedSetFilter::signature(),
        FeedClockFilter::signature(),
        FeedTransferredFilter::signature(),
        SubscriptionSetFilter::signature(),
        WithdrawnFilter::signature(),
    ]
}

/// Reads a log with its place.
pub(crate) fn logged(log: Log) -> Result<Option<LoggedEvent>, ChainError> {
    let (Some(block), Some(block_hash), Some(index)) =
        (log.block_number, log.block_hash, log.log_index)
    else {
        return Err(ChainError::unexpected("a log without its place"));
    };
    Ok(decode(log)?.map(|event| LoggedEvent {
        block: block.as_u64(),
        block_hash: hash(block_hash),
        log_index: index.as_u64(),
        event,
    }))
}

/// Reads a log of the ledger; `None` for one that changes nothing.
pub(crate) fn decode(log: Log) -> Result<Option<LedgerEvent>, ChainError> {
    let event = match FeedLedgerEvents::decode_log(&log.into())? {
        FeedLedgerEvents::FeedOpenedFilter(event) => LedgerEvent::FeedOpened {
            feed: FeedId::new(event.feed),
            device: address(event.device).into(),
            name: feed_name(&event.name)?,
            owner: address(event.owner),
            base: event.base,
        },
        FeedLedgerEvents::FeedSetFilter(event) => LedgerEvent::FeedSet {
            feed: FeedId::new(event.feed),
            device: address(event.device).into(),
            price: Wei::new(event.price),
            payout: address(event.payout),
            pauser: address(event.pauser),
            listing: Hash::new(event.listing),
        },
        FeedLedgerEvents::FeedClockFilter(event) => LedgerEvent::FeedClock {
            feed: FeedId::new(event.feed),
            clock: ClockChange {
                paused_at: non_zero(event.paused_at),
                paused_total: event.paused_total,
                paused_by: somebody(event.paused_by),
                retires_at: non_zero(event.retires_at),
            },
        },
        FeedLedgerEvents::FeedTransferredFilter(event) => LedgerEvent::FeedTransferred {
            feed: FeedId::new(event.feed),
            from: address(event.from),
            to: address(event.to),
        },
        FeedLedgerEvents::SubscriptionSetFilter(event) => LedgerEvent::SubscriptionSet {
            feed: FeedId::new(event.feed),
            beneficiary: address(event.beneficiary),
            payer: address(event.payer),
            price: Wei::new(event.price),
            start: uint64(event.start)?,
            expiry: uint64(event.expiry)?,
        },
        FeedLedgerEvents::WithdrawnFilter(event) => LedgerEvent::Withdrawn {
            feed: FeedId::new(event.feed),
            payout: address(event.payout),
            amount: wei(event.amount)?,
        },
        _ => return Ok(None),
    };
    Ok(Some(event))
}
