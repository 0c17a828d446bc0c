use std::collections::BTreeMap;

use ashya_contracts::{Block, ChainError, Ledger, LoggedEvent, LogsBloom};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::RoundError;
use super::fork::{CONCURRENT, header};
use super::ranges::{Ranges, refuses_range};
use super::replica::ReadBlock;
use crate::metrics::Metrics;
use crate::store::BlockId;

/// Reads blocks with their events, and believes no answer that the blocks' own heads do not bear out.
///
/// The heads must lead by parent hash from a known block upwards. A log must belong to one of them. A block whose Bloom
/// filter may hold a log of the ledger is read whole, by its hash, until its logs explain the filter and its events are
/// in it; where the filter rules the ledger out, no event is taken. A node that leaves events out or makes some up, by
/// accident or not, delays the gateway but does not mislead it. Of the data of a log, and of how many logs are alike, a
/// filter says nothing: there the node is believed. So is one that leaves the filters out.
#[derive(Debug)]
pub(super) struct Reader {
    ranges: Ranges,
    metrics: Metrics,
    /// The lowest block that was seen with a filter that is not empty. From there up an empty filter says that a block
    /// holds no logs. On a chain whose filters are all empty it says nothing.
    filters_from: Option<u64>,
}

impl Reader {
    pub(super) fn new(blocks_per_request: u64, metrics: Metrics) -> Self {
        Self {
            ranges: Ranges::new(blocks_per_request),
            metrics,
            filters_from: None,
        }
    }

    /// Reads the next blocks after `base` on the chain of `head`, fewer at a time when the node refuses.
    pub(super) async fn next(
        &mut self,
        ledger: &Ledger,
        base: BlockId,
        head: &Block,
    ) -> Result<Vec<ReadBlock>, RoundError> {
        let from = base.number + 1;
        loop {
            let to = self.ranges.end(from, head.number);
            let blocks = to - from + 1;
            match self.read(ledger, base, to, head).await {
                Ok(read) => {
                    self.ranges.answered(blocks);
                    return Ok(read);
                }
                Err(RoundError::Refused(error)) => {
                    self.ranges.refused(blocks);
                    tracing::debug!(%error, blocks, "asking for fewer blocks at a time");
                    // A node that said no may say yes to less; one that did not answer is left alone for a while.
                    if matches!(error, ChainError::TimedOut) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read(
        &mut self,
        ledger: &Ledger,
        base: BlockId,
        to: u64,
        head: &Block,
    ) -> Result<Vec<ReadBlock>, RoundError> {
        let heads: Vec<Block> = stream::iter(base.number + 1..=to)
            .map(|number| header(ledger.rpc(), number, head))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        check_linked(base, &heads)?;
        self.note_filters(&heads);
        let told = told(ledger, &heads).await?;
        let told = sort(&heads, told)?;
        let reader = &*self;
        stream::iter(heads)
            .map(|block| reader.check(ledger, block, told.get(&block.number)))
            .buffered(CONCURRENT)
            .try_collect()
            .await
    }

    fn note_filters(&mut self, heads: &[Block]) {
        let is_filled = |filter: LogsBloom| filter != LogsBloom::EMPTY;
        let filled = heads
            .iter()
            .filter(|block| block.logs_bloom.is_some_and(is_filled))
            .map(|block| block.number);
        self.filters_from = filled.chain(self.filters_from).min();
    }

    /// Whether the block is one whose filter says what it does not hold.
    fn has_filter(&self, block: &Block) -> bool {
        // One node may leave out what another fills in.
        block.logs_bloom.is_some() && self.filters_from.is_some_and(|from| from <= block.number)
    }

    /// The events of a block, in full, and none that it does not hold.
    async fn check(
        &self,
        ledger: &Ledger,
        block: Block,
        told: Option<&Vec<LoggedEvent>>,
    ) -> Result<ReadBlock, RoundError> {
        let mut events = told.cloned().unwrap_or_default();
        let filter = block.logs_bloom.as_ref();
        if filter.is_some_and(|filter| ledger.may_have_written(filter)) {
            let complete = ledger.complete_events_of(&block).await;
            if let Err(ChainError::Incomplete { .. }) = complete {
                self.metrics.chain_omissions.inc();
            }
            let complete = complete?;
            if events != complete {
                self.metrics.chain_omissions.inc();
                tracing::warn!(
                    block.number,
                    "the node told other events of the ledger at first"
                );
            }
            events = complete;
        } else if !events.is_empty() && self.has_filter(&block) {
            return Err(ruled_out(&block).into());
        }
        Ok(ReadBlock {
            id: BlockId::from(&block),
            parent: block.parent,
            events: events.into_iter().map(|log| log.event).collect(),
        })
    }
}

fn ruled_out(block: &Block) -> ChainError {
    let Block { number, hash, .. } = block;
    ChainError::UnexpectedAnswer(format!(
        "an event in block {number} ({hash}) that the block's filter rules out"
    ))
}

/// What the node tells at once of several blocks. It is what is left where filters are empty or left out.
async fn told(ledger: &Ledger, heads: &[Block]) -> Result<Vec<LoggedEvent>, RoundError> {
    match heads {
        [] => Ok(Vec::new()),
        // By its hash, so that the answer cannot be that of another block.
        [one] => Ok(ledger.events_of(one.hash).await?),
        [first, .., last] => {
            let told = ledger.events(first.number, last.number).await;
            told.map_err(|error| {
                if refuses_range(&error) {
                    RoundError::Refused(error)
                } else {
                    error.into()
                }
            })
        }
    }
}

/// Whether the blocks lead from `base` upwards, each on the one before it.
fn check_linked(base: BlockId, heads: &[Block]) -> Result<(), RoundError> {
    let mut below = base;
    for block in heads {
        if (block.number, block.parent) != (below.number + 1, below.hash) {
            return Err(RoundError::Moving(block.number));
        }
        below = BlockId::from(block);
    }
    Ok(())
}

/// Puts logs to their blocks; a log of any other block is a sign that the node changed its mind meanwhile.
fn sort(
    heads: &[Block],
    logs: Vec<LoggedEvent>,
) -> Result<BTreeMap<u64, Vec<LoggedEvent>>, RoundError> {
    let first = heads.first().map_or(0, |block| block.number);
    let mut sorted = BTreeMap::<_, Vec<_>>::new();
    for log in logs {
        let at = log.block.checked_sub(first);
        let block = at.and_then(|at| heads.get(usize::try_from(at).ok()?));
        if block.is_none_or(|block| block.hash != log.block_hash) {
            return Err(RoundError::Moving(log.block));
        }
        sorted.entry(log.block).or_default().push(log);
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use ashya_contracts::{LedgerEvent, LogsBloom};
    use ashya_protocol::{Address, FeedId, Hash, Wei};

    use super::*;

    fn block(number: u8, parent: u8) -> Block {
        Block {
            number: number.into(),
            hash: Hash::new([number; 32]),
            parent: Hash::new([parent; 32]),
            timestamp: 0,
            logs_bloom: Some(LogsBloom::EMPTY),
        }
    }

    #[test]
    fn blocks_must_stand_on_each_other() {
        let base = BlockId::from(&block(4, 3));
        for (name, heads, linked) in [
            ("none", vec![], true),
            ("one", vec![block(5, 4)], true),
            ("three", vec![block(5, 4), block(6, 5), block(7, 6)], true),
            ("of another base", vec![block(5, 9)], false),
            ("a break", vec![block(5, 4), block(6, 9)], false),
            ("a gap", vec![block(5, 4), block(7, 5)], false),
            ("one twice", vec![block(5, 4), block(5, 5)], false),
        ] {
            assert_eq!(check_linked(base, &heads).is_ok(), linked, "{name}");
        }
    }

    #[test]
    fn logs_must_belong_to_the_blocks() {
        let heads = [block(5, 4), block(6, 5)];
        let log = |block: u64, hash: u8| LoggedEvent {
            block,
            block_hash: Hash::new([hash; 32]),
            log_index: 0,
            event: LedgerEvent::Withdrawn {
                feed: FeedId::new([1; 32]),
                payout: Address::ZERO,
                amount: Wei::new(1),
            },
        };
        for (name, logs, belong) in [
            ("none", vec![], true),
            ("both", vec![log(5, 5), log(6, 6)], true),
            ("below", vec![log(4, 4)], false),
            ("above", vec![log(7, 7)], false),
            ("of another fork", vec![log(6, 9)], false),
        ] {
            assert_eq!(sort(&heads, logs).is_ok(), belong, "{name}");
        }
    }
}
