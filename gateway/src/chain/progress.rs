use std::time::Duration;

use tokio::time::Instant;

use super::ChainStatus;

/// Time between two words about a long catch-up.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says now and then how far a long catch-up is, and how fast.
#[derive(Debug)]
pub(super) struct Progress {
    first: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// A catch-up that begins after block `first`.
    pub(super) fn new(first: u64) -> Self {
        let now = Instant::now();
        Self {
            first,
            began: now,
            told: now,
        }
    }

    pub(super) fn tell(&mut self, status: &ChainStatus, block: u64, head: u64) {
        status.reading(block, head);
        if self.told.elapsed() < INTERVAL {
            return;
        }
        self.told = Instant::now();
        let done = block.saturating_sub(self.first);
        let of = head.saturating_sub(self.first);
        let blocks_per_s = done as f64 / self.began.elapsed().as_secs_f64();
        tracing::info!(
            block.number = block,
            head.number = head,
            "reading the ledger's past: {done} of {of} blocks, {blocks_per_s:.0} blocks/s"
        );
    }
}
