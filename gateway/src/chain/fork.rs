use ashya_contracts::{Block, Rpc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::RoundError;
use super::journal::{BlockId, Journal};
use super::reader::CONCURRENT;

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
    let mut top = head.number.min(tip.number);
    let mut batch = 1;
    while top >= base && head.number >= base {
        let bottom = base.max(top.saturating_sub(batch - 1));
        let numbers = (bottom..=top).rev();
        let found = stream::iter(numbers)
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
        let Some(next) = bottom.checked_sub(1) else {
            break;
        };
        top = next;
        // Most reorganisations are short.
        batch = (batch * 2).min(64);
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
