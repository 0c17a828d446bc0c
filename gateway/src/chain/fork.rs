use std::ops::RangeInclusive;

use ashya_contracts::{Block, Rpc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::RoundError;
use super::journal::Journal;
use crate::store::BlockId;

/// Requests for blocks that are on the way at once.
pub(super) const CONCURRENT: usize = 16;
/// Most blocks that are looked at before the next are asked for.
const LARGEST_BATCH: u64 = 64;

/// How a node's chain stands to the blocks that are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same newest block.
    Same,
    /// They part after this block. Where it is the tip, the node's chain is only longer.
    Parts {
        /// Height of the last block that both hold.
        after: u64,
    },
    /// The node's head is a block that is applied, below the tip. That proves nothing about the blocks above.
    Behind,
    /// They part below all blocks that can be taken back.
    Elsewhere,
}

/// Finds the last block that the node's chain and the journal share, by hash.
///
/// # Errors
/// When the node fails, or does not know a block below its own head.
pub(super) async fn relate(
    rpc: &Rpc,
    journal: &Journal,
    head: &Block,
    deployment: BlockId,
) -> Result<Relation, RoundError> {
    let tip = journal.tip();
    if BlockId::from(head) == tip {
        return Ok(Relation::Same);
    }
    if head.number == tip.number + 1 && head.parent == tip.hash {
        return Ok(Relation::Parts { after: tip.number });
    }
    let base = journal.base().number;
    for numbers in batches(base, head.number.min(tip.number)) {
        let found = stream::iter(numbers.rev())
            .map(|number| header(rpc, number, head))
            .buffered(CONCURRENT)
            .try_filter(|block| {
                let shared = journal.hash_at(block.number) == Some(block.hash);
                std::future::ready(shared)
            });
        if let Some(shared) = std::pin::pin!(found).try_next().await? {
            return Ok(if shared.number == head.number {
                Relation::Behind
            } else {
                Relation::Parts {
                    after: shared.number,
                }
            });
        }
    }
    if head.number >= base {
        return Ok(Relation::Elsewhere);
    }
    // Too short to be compared with the journal; a chain that began anew shows where the ledger was deployed.
    let first = rpc.block(deployment.number).await?;
    match first {
        Some(first) if first.hash != deployment.hash => Ok(Relation::Elsewhere),
        _ => Ok(Relation::Behind),
    }
}

/// The head of a block that the node must know, since its own head is above.
pub(super) async fn header(rpc: &Rpc, number: u64, head: &Block) -> Result<Block, RoundError> {
    if number == head.number {
        return Ok(*head);
    }
    let block = rpc.block(number).await?;
    let block = block.filter(|block| block.number == number);
    block.ok_or(RoundError::Missing(number))
}

/// The heights from `top` down to `base` in parts that grow: most reorganisations are short.
fn batches(base: u64, top: u64) -> impl Iterator<Item = RangeInclusive<u64>> {
    let (mut next, mut size) = (Some(top), 1);
    std::iter::from_fn(move || {
        let top = next.filter(|top| *top >= base)?;
        let bottom = base.max(top.saturating_sub(size - 1));
        next = bottom.checked_sub(1);
        size = (size * 2).min(LARGEST_BATCH);
        Some(bottom..=top)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_looked_at_from_the_top_in_growing_parts() {
        for (base, top, expected) in [
            (5, 4, &[][..]),
            (5, 5, &[5..=5]),
            (5, 7, &[7..=7, 5..=6]),
            (0, 5, &[5..=5, 3..=4, 0..=2]),
            (10, 30, &[30..=30, 28..=29, 24..=27, 16..=23, 10..=15]),
        ] {
            let found: Vec<_> = batches(base, top).collect();
            assert_eq!(found, expected, "{base} to {top}");
        }
        let sizes = batches(0, 200).map(Iterator::count);
        assert_eq!(sizes.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 64, 10]);
    }
}
