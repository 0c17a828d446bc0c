use std::sync::Arc;

use ashya_protocol::rest::Head;
use parking_lot::RwLock;

/// How following the chain is going, in words for operators. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChainStatus(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    finalized: Option<Head>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Starting,
    Reading {
        block: u64,
        head: u64,
    },
    Following,
    Failing {
        error: String,
    },
}

impl ChainStatus {
    pub(crate) fn reading(&self, block: u64, head: u64) {
        self.0.write().phase = Phase::Reading { block, head };
    }

    pub(crate) fn following(&self) {
        self.0.write().phase = Phase::Following;
    }

    /// Whether all of the chain has been read; its newest block may be old.
    pub(crate) fn is_following(&self) -> bool {
        matches!(self.0.read().phase, Phase::Following)
    }

    /// Whether the last question to the nodes was not answered.
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.0.read().phase, Phase::Failing { .. })
    }

    /// Notes a failure; true when it is news.
    pub(crate) fn failing(&self, error: String) -> bool {
        let phase = &mut self.0.write().phase;
        let news = !matches!(phase, Phase::Failing { error: known } if *known == error);
        *phase = Phase::Failing { error };
        news
    }

    /// Notes the newest final block that a node names. One that lags names an older one, which says nothing new.
    pub(crate) fn finalized(&self, block: Head) {
        let finalized = &mut self.0.write().finalized;
        if finalized.is_none_or(|known| known.number <= block.number) {
            *finalized = Some(block);
        }
    }

    /// What lay above a block has been taken back: nothing of it was final, whatever a node has said.
    pub(super) fn taken_back_above(&self, number: u64) {
        let finalized = &mut self.0.write().finalized;
        finalized.take_if(|block| block.number > number);
    }

    /// The newest block that the chain will not take back, where it tells.
    pub(crate) fn newest_final(&self) -> Option<Head> {
        self.0.read().finalized
    }

    /// Why the view of the chain is not current, or that it is only late.
    pub(crate) fn describe(&self) -> String {
        match &self.0.read().phase {
            Phase::Starting => "the node has not answered yet".into(),
            Phase::Reading { block, head } => format!("reading block {block} of {head}"),
            Phase::Following => "the node's newest block is too old".into(),
            Phase::Failing { error } => error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_wrong_and_once_that_it_is() {
        let status = ChainStatus::default();
        assert_eq!(status.describe(), "the node has not answered yet");
        status.reading(5, 9);
        assert_eq!(status.describe(), "reading block 5 of 9");
        for (error, news) in [("gone", true), ("gone", false), ("slow", true)] {
            assert_eq!(status.failing(error.into()), news, "{error}");
            assert_eq!(status.describe(), error);
        }
        status.following();
        assert_eq!(status.describe(), "the node's newest block is too old");
        assert!(status.failing("slow".into()), "it had gone well meanwhile");
    }

    #[test]
    fn the_newest_final_block_is_remembered() {
        let status = ChainStatus::default();
        assert_eq!(status.newest_final(), None);
        let block = |number| Head {
            number,
            timestamp: 90,
        };
        for (told, known) in [(7, 7), (6, 7), (8, 8)] {
            status.finalized(block(told));
            assert_eq!(status.newest_final(), Some(block(known)));
        }
        status.taken_back_above(8);
        assert_eq!(status.newest_final(), Some(block(8)));
        status.taken_back_above(7);
        assert_eq!(status.newest_final(), None);
    }
}
