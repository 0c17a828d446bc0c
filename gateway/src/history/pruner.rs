use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::History;
use crate::chain_clock::ChainClock;
use crate::chained::Chained;
use crate::metrics::Metrics;
use crate::retention::Prune;

/// Time between looks for what is too old or too much.
const INTERVAL: Duration = Duration::from_secs(10);

impl History {
    /// Takes away what is too old or too much, a little at a time, until `shutdown`.
    pub(crate) async fn prune_until(
        self,
        clock: ChainClock,
        metrics: Metrics,
        shutdown: CancellationToken,
    ) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            while !shutdown.is_cancelled() && self.prune_some(&clock, &metrics).await {}
            let bytes = self.store.history.bytes();
            metrics
                .history_bytes
                .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Whether there may be more.
    async fn prune_some(&self, clock: &ChainClock, metrics: &Metrics) -> bool {
        let retention = self.positions.kept();
        let cutoff = Prune::cutoff(clock.now_seconds(), retention.age);
        let (trees, max_bytes) = (self.store.history.clone(), retention.max_bytes);
        let pruned = tokio::task::spawn_blocking(move || trees.prune(cutoff, max_bytes));
        match pruned.await {
            Ok(Ok(Some((reason, events)))) => {
                metrics.pruned(reason, events);
                true
            }
            Ok(Ok(None)) => false,
            Ok(Err(error)) => {
                tracing::error!(error = %Chained(&error), "history cannot be pruned");
                false
            }
            Err(error) => {
                tracing::error!(%error, "history cannot be pruned");
                false
            }
        }
    }
}
