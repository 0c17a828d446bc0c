use ashya_protocol::{Address, DeviceId, FeedId, FeedName, Hash, Wei};
use ethers::contract::{EthEvent, EthLogDecode};
use ethers::types::{H256, Log};
use serde::{Deserialize, Serialize};

use crate::abi::{
    FeedClockFilter, FeedLedgerEvents, FeedOpenedFilter, FeedSetFilter, FeedTransferredFilter,
    SubscriptionSetFilter, WithdrawnFilter,
};
use crate::bloom::LogsBloom;
use crate::convert::{address, feed_name, hash, non_zero, somebody, uint64, wei};
use crate::error::ChainError;
use crate::records::ClockChange;
use crate::rpc::Block;

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

/// Reads the logs of the ledger in the order of the chain.
pub(crate) fn of_ledger(ledger: Address, logs: Vec<Log>) -> Result<Vec<LoggedEvent>, ChainError> {
    let mut read = Vec::with_capacity(logs.len());
    for log in logs {
        if address(log.address) != ledger || log.removed == Some(true) {
            return Err(ChainError::unexpected("a log that was not asked for"));
        }
        let (block, block_hash, log_index) = place(&log)?;
        // An offered transfer changes nothing yet.
        if !is_read(&log) {
            continue;
        }
        if let Some(event) = decode(log)? {
            read.push(LoggedEvent {
                block,
                block_hash,
                log_index,
                event,
            });
        }
    }
    read.sort_by_key(|log| (log.block, log.log_index));
    let twice = read
        .windows(2)
        .any(|pair| (pair[0].block, pair[0].log_index) == (pair[1].block, pair[1].log_index));
    if twice {
        return Err(ChainError::unexpected("a log that comes twice"));
    }
    Ok(read)
}

/// Holds all logs of a block against its filter and their own numbers.
///
/// A log that is missing shows as a gap in the numbers, which begin at 0, or as bits that no log explains. An event
/// that was made up shows as bits that the filter lacks. Other logs may lack there, since some chains keep what they
/// write by themselves out of the filter. A filter tells neither of the data of a log nor of how many are alike. Where
/// the node leaves the filter out, the numbers alone tell.
pub(crate) fn check_complete(block: &Block, logs: &[Log]) -> Result<(), ChainError> {
    let filter = block.logs_bloom.as_ref();
    let mut explained = LogsBloom::EMPTY;
    let mut indexes = Vec::with_capacity(logs.len());
    for log in logs {
        let (number, hash, index) = place(log)?;
        if (number, hash) != (block.number, block.hash) {
            return Err(ChainError::unexpected("a log of another block"));
        }
        let may_hold = |value: &[u8]| filter.is_none_or(|filter| filter.may_hold(value));
        if is_read(log) && !filtered(log).all(may_hold) {
            return Err(ChainError::unexpected(format!(
                "an event in block {number} ({hash}) that the block's filter rules out"
            )));
        }
        indexes.push(index);
        filtered(log).for_each(|value| explained.add(value));
    }
    indexes.sort_unstable();
    let gapless = (0..)
        .zip(&indexes)
        .all(|(expected, index)| expected == *index);
    if gapless && filter.is_none_or(|filter| explained.explains(filter)) {
        return Ok(());
    }
    Err(ChainError::Incomplete {
        number: block.number,
        hash: block.hash,
    })
}

/// Whether a log says by its first topic that it is one of the events that are read.
fn is_read(log: &Log) -> bool {
    let first = log.topics.first();
    first.is_some_and(|topic| topics().contains(topic))
}

/// What of a log goes into its block's filter.
fn filtered(log: &Log) -> impl Iterator<Item = &[u8]> {
    let topics = log.topics.iter().map(H256::as_bytes);
    std::iter::once(log.address.as_bytes()).chain(topics)
}

fn place(log: &Log) -> Result<(u64, Hash, u64), ChainError> {
    let (Some(block), Some(block_hash), Some(index)) =
        (log.block_number, log.block_hash, log.log_index)
    else {
        return Err(ChainError::unexpected("a log without its place"));
    };
    Ok((block.as_u64(), hash(block_hash), index.as_u64()))
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

#[cfg(test)]
mod tests {
    use ethers::types::{H160, U64};

    use super::*;

    fn log(index: u64, address: u8) -> Log {
        Log {
            address: H160::repeat_byte(address),
            topics: vec![H256::repeat_byte(address)],
            block_number: Some(U64::from(7)),
            block_hash: Some(H256::repeat_byte(1)),
            log_index: Some(index.into()),
            ..Log::default()
        }
    }

    fn block_of(logs: &[Log]) -> Block {
        let mut logs_bloom = LogsBloom::EMPTY;
        for value in logs.iter().flat_map(filtered) {
            logs_bloom.add(value);
        }
        Block {
            number: 7,
            hash: Hash::new([1; 32]),
            parent: Hash::ZERO,
            timestamp: 0,
            logs_bloom: Some(logs_bloom),
        }
    }

    #[test]
    fn a_block_is_complete_when_its_logs_explain_its_filter() {
        let block = block_of(&[log(0, 2), log(1, 3)]);
        let elsewhere = Log {
            block_hash: Some(H256::repeat_byte(9)),
            ..log(1, 3)
        };
        for (name, logs, complete) in [
            ("all", vec![log(0, 2), log(1, 3)], true),
            ("in any order", vec![log(1, 3), log(0, 2)], true),
            ("the first is missing", vec![log(1, 3), log(2, 2)], false),
            ("one between is missing", vec![log(0, 2), log(2, 3)], false),
            ("the last is missing", vec![log(0, 2)], false),
            ("none", vec![], false),
            ("of another block", vec![log(0, 2), elsewhere], false),
        ] {
            assert_eq!(check_complete(&block, &logs).is_ok(), complete, "{name}");
        }
    }

    fn event(index: u64, address: u8, feed: u8) -> Log {
        Log {
            topics: vec![SubscriptionSetFilter::signature(), H256::repeat_byte(feed)],
            ..log(index, address)
        }
    }

    #[test]
    fn where_the_filter_is_left_out_the_numbers_alone_tell() {
        let block = Block {
            logs_bloom: None,
            ..block_of(&[])
        };
        for (name, logs, complete) in [
            ("none", vec![], true),
            ("an event", vec![event(0, 2, 5)], true),
            ("a gap", vec![log(0, 3), event(2, 2, 5)], false),
        ] {
            assert_eq!(check_complete(&block, &logs).is_ok(), complete, "{name}");
        }
    }

    #[test]
    fn an_event_that_the_filter_of_its_block_rules_out_is_refused() {
        let block = block_of(&[event(0, 2, 5), log(1, 3)]);
        for (name, more, is_taken) in [
            ("another contract's log of its own kind", log(2, 4), true),
            ("the same values once more", event(2, 2, 5), true),
            ("another feed", event(2, 2, 6), false),
            ("another contract", event(2, 4, 5), false),
        ] {
            let logs = [event(0, 2, 5), log(1, 3), more];
            let checked = check_complete(&block, &logs);
            let is_refused = matches!(checked, Err(ChainError::UnexpectedAnswer(_)));
            assert_eq!(
                (checked.is_ok(), is_refused),
                (is_taken, !is_taken),
                "{name}"
            );
        }
    }

    #[test]
    fn strange_logs_are_refused() {
        let removed = Log {
            removed: Some(true),
            ..log(0, 2)
        };
        let pending = Log {
            block_hash: None,
            ..log(0, 2)
        };
        for (name, logs) in [
            ("of another contract", vec![log(0, 3)]),
            ("removed", vec![removed]),
            ("without its place", vec![pending]),
        ] {
            assert!(of_ledger(Address::new([2; 20]), logs).is_err(), "{name}");
        }
        assert_eq!(
            of_ledger(Address::new([2; 20]), vec![log(0, 2)]).unwrap(),
            []
        );
    }
}
