use std::sync::Arc;

use parking_lot::RwLock;

/// How following the chain is going, in words for operators. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChainStatus(Arc<RwLock<Phase>>);

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
        *self.0.write() = Phase::Reading { block, head };
    }

    pub(super) fn following(&self) {
        *self.0.write() = Phase::Following;
    }

    /// Notes a failure; true when it is news.
    pub(super) fn failing(&self, error: String) -> bool {
        let mut phase = self.0.write();
        let news = !matches!(&*phase, Phase::Failing { error: known } if *known == error);
        *phase = Phase::Failing { error };
        news
    }

    /// Why the view of the chain is not current, or that it is only late.
    pub(crate) fn describe(&self) -> String {
        match &*self.0.read() {
            Phase::Starting => "the node has not answered yet".into(),
            Phase::Reading { block, head } => format!("reading block {block} of {head}"),
            Phase::Following => "the node's newest block is too old".into(),
            Phase::Failing { error } => error.clone(),
        }
    }
}
