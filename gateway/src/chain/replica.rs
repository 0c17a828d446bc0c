use ashya_contracts::LedgerEvent;
use ashya_protocol::Hash;

use super::journal::Journal;
use crate::ledger_index::LedgerIndex;
use crate::store::{BlockId, ChainCommit, Cursor, JournalBlock};

/// The ledger as of one block, and the way back from it.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) index: LedgerIndex,
    pub(super) journal: Journal,
    /// Hash of the block in which the ledger was deployed.
    pub(super) deployment_hash: Hash,
}

/// A block with what the ledger said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadBlock {
    pub(super) id: BlockId,
    pub(super) parent: Hash,
    pub(super) events: Vec<LedgerEvent>,
}

impl Replica {
    pub(super) fn tip(&self) -> BlockId {
        self.journal.tip()
    }

    pub(super) fn cursor(&self) -> Cursor {
        let BlockId { number, hash } = self.tip();
        Cursor {
            number,
            hash,
            deployment_hash: self.deployment_hash,
        }
    }

    /// Goes back to `ancestor` and up along `blocks`, in one move, and says what there is to keep.
    pub(super) fn advance(&mut self, ancestor: u64, blocks: Vec<ReadBlock>) -> ChainCommit {
        let undos = self.journal.undos_above(ancestor);
        let events = blocks.iter();
        let events = events.map(|block| (block.id.number, block.events.as_slice()));
        let stepped = self.index.step(undos, events);
        let mut forgotten = self.journal.cut_above(ancestor);
        for (block, undo) in blocks.into_iter().zip(stepped.undos) {
            forgotten.extend(self.journal.push(JournalBlock {
                id: block.id,
                parent: block.parent,
                undo,
            }));
        }
        ChainCommit {
            cursor: self.cursor(),
            changed: stepped.changed,
            forgotten,
            added: self.journal.blocks_above(ancestor).cloned().collect(),
        }
    }
}
