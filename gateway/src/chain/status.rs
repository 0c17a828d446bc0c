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
    pub(super) fn reading(&self, block: u64, head: u64) {
        self.0.write().phase = Phase::Reading { block, head };
    }

    pub(super) fn following(&self) {
        self.0.write().phase = Phase::Following;
    }

    /// Notes a failure; true when it is news.
    pub(super) fn failing(&self, error: String) -> bool {
        let phase = &mut self.0.write().phase;
        let news = !matches!(phase, Phase::Failing { error: known } if *known == error);
        *phase = Phase::Failing { error };
        news
    }

    pub(super) fn finalized(&self, block: Head) {
        self.0.write().finalized = Some(block);
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
