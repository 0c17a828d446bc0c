use std::collections::VecDeque;

use ashya_contracts::Block;
use ashya_protocol::Hash;

use crate::ledger_index::Delta;
use crate::store::{BlockId, JournalBlock};

/// The newest applied blocks without a gap, on a block that is known by its hash alone.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The block below the first: the deepest to which the journal leads back.
    base: BlockId,
    blocks: VecDeque<JournalBlock>,
    /// Most blocks that are kept.
    limit: usize,
}

impl From<&Block> for BlockId {
    fn from(block: &Block) -> Self {
        Self {
            number: block.number,
            hash: block.hash,
        }
    }
}

impl Journal {
    /// A journal in which nothing can be taken back yet.
    pub(crate) fn starting_at(base: BlockId, limit: usize) -> Self {
        Self {
            base,
            blocks: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// A journal that was kept. Blocks that do not lead up to `tip` one by one are left out.
    pub(crate) fn restore(tip: BlockId, kept: Vec<JournalBlock>, limit: usize) -> Self {
        let mut journal = Self::starting_at(tip, limit);
        for block in kept.into_iter().rev().take(journal.limit) {
            if block.id != journal.base {
                break;
            }
            journal.base = BlockId {
                number: block.id.number.saturating_sub(1),
                hash: block.parent,
            };
            journal.blocks.push_front(block);
        }
        journal
    }

    /// The newest applied block.
    pub(crate) fn tip(&self) -> BlockId {
        self.blocks.back().map_or(self.base, |block| block.id)
    }

    /// The deepest block to which the journal leads back.
    pub(crate) const fn base(&self) -> BlockId {
        self.base
    }

    /// The hash of an applied block, where it is known.
    pub(crate) fn hash_at(&self, number: u64) -> Option<Hash> {
        let above = number.checked_sub(self.base.number)?;
        match usize::try_from(above).ok()?.checked_sub(1) {
            None => Some(self.base.hash),
            Some(at) => self.blocks.get(at).map(|block| block.id.hash),
        }
    }

    /// What was before each block above `number`, newest first.
    pub(crate) fn undos_above(&self, number: u64) -> impl Iterator<Item = &Delta> {
        let above = move |block: &&JournalBlock| block.id.number > number;
        self.blocks
            .iter()
            .rev()
            .take_while(above)
            .map(|block| &block.undo)
    }

    /// Forgets the blocks above `number`, which were taken back, and says which.
    pub(crate) fn cut_above(&mut self, number: u64) -> Vec<u64> {
        let mut cut = Vec::new();
        while let Some(block) = self.blocks.pop_back_if(|block| block.id.number > number) {
            cut.push(block.id.number);
        }
        cut
    }

    /// Adds the block after the tip; gives back the one that is too old now.
    pub(crate) fn push(&mut self, block: JournalBlock) -> Option<u64> {
        debug_assert_eq!(block.parent, self.tip().hash);
        self.blocks.push_back(block);
        if self.blocks.len() <= self.limit {
            return None;
        }
        let oldest = self.blocks.pop_front()?;
        self.base = oldest.id;
        Some(oldest.id.number)
    }

    /// The kept blocks above `number`, oldest first.
    pub(crate) fn blocks_above(&self, number: u64) -> impl Iterator<Item = &JournalBlock> {
        let blocks = self.blocks.iter();
        blocks.filter(move |block| block.id.number > number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> BlockId {
        BlockId {
            number: number.into(),
            hash: Hash::new([number; 32]),
        }
    }

    fn block(number: u8) -> JournalBlock {
        JournalBlock {
            id: id(number),
            parent: id(number - 1).hash,
            undo: Delta::default(),
        }
    }

    fn journal(limit: usize, blocks: std::ops::RangeInclusive<u8>) -> Journal {
        let mut journal = Journal::starting_at(id(blocks.start() - 1), limit);
        for number in blocks {
            journal.push(block(number));
        }
        journal
    }

    #[test]
    fn it_knows_the_newest_blocks() {
        let mut journal = journal(3, 5..=9);
        assert_eq!((journal.base(), journal.tip()), (id(6), id(9)));
        let known: Vec<_> = (0..12).map(|number| journal.hash_at(number)).collect();
        let expected: Vec<_> = (0..12)
            .map(|number| (6..=9).contains(&number).then(|| id(number).hash))
            .collect();
        assert_eq!(known, expected);
        assert_eq!(journal.undos_above(7).count(), 2);
        for (number, above) in [(0, &[7, 8, 9][..]), (7, &[8, 9]), (8, &[9]), (9, &[])] {
            let blocks = journal.blocks_above(number).map(|block| block.id.number);
            assert_eq!(blocks.collect::<Vec<_>>(), above, "above {number}");
        }
        assert_eq!(journal.cut_above(7), [9, 8]);
        assert_eq!(journal.tip(), id(7));
        assert_eq!(journal.cut_above(6), [7]);
        assert_eq!((journal.base(), journal.tip()), (id(6), id(6)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut journal = Journal::starting_at(id(4), 2);
        let gone: Vec<_> = (5..=8).map(|number| journal.push(block(number))).collect();
        assert_eq!(gone, [None, None, Some(5), Some(6)]);
    }

    #[test]
    fn only_blocks_without_a_gap_are_restored() {
        let other = JournalBlock {
            parent: Hash::new([99; 32]),
            ..block(8)
        };
        for (name, tip, kept, base) in [
            ("all", 9, vec![block(7), block(8), block(9)], id(6)),
            ("none", 9, vec![], id(9)),
            ("a gap", 9, vec![block(6), block(8), block(9)], id(7)),
            ("beyond the tip", 8, vec![block(8), block(9)], id(8)),
            (
                "another past",
                9,
                vec![block(7), other, block(9)],
                BlockId {
                    number: 7,
                    hash: Hash::new([99; 32]),
                },
            ),
        ] {
            let journal = Journal::restore(id(tip), kept, 10);
            assert_eq!((journal.base(), journal.tip()), (base, id(tip)), "{name}");
        }
    }
}
