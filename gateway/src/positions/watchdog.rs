//! Says so when the disk stands still: without it devices would only see that nothing is acknowledged.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Positions;
use crate::metrics::Metrics;

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a batch may take on a busy disk before it is told.
const PATIENCE: Duration = Duration::from_secs(5);

impl Positions {
    /// Tells the log and the metrics for how long a write has stood still, until `shutdown`.
    pub(crate) async fn watch_until(self, metrics: Metrics, shutdown: CancellationToken) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Duration::ZERO;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let stands = self.stands_still();
            metrics
                .write_wait
                .set(i64::try_from(stands.as_secs()).unwrap_or(i64::MAX));
            match verdict(stands, told) {
                Verdict::Quiet => {}
                Verdict::Stands => {
                    tracing::error!(
                        seconds = stands.as_secs(),
                        "positions have been on their way to the disk for long: events are not acknowledged until they are there"
                    );
                    told = stands;
                }
                Verdict::Moves => {
                    tracing::info!("positions reach the disk again");
                    told = Duration::ZERO;
                }
            }
        }
    }

    fn stands_still(&self) -> Duration {
        let since = self.shared.state.lock().writing_since;
        since.map_or(Duration::ZERO, |since| Instant::now() - since)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Quiet,
    Stands,
    Moves,
}

/// What to say of a write that has stood still for a time, of which the log was `told` an earlier one: each time only
/// when it has doubled.
fn verdict(stands: Duration, told: Duration) -> Verdict {
    if !told.is_zero() && stands < told {
        Verdict::Moves
    } else if stands >= PATIENCE && stands >= told * 2 {
        Verdict::Stands
    } else {
        Verdict::Quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_stands_still_is_told_when_its_time_has_doubled() {
        for (stands, told, expected) in [
            (0, 0, Verdict::Quiet),
            (4, 0, Verdict::Quiet),
            (5, 0, Verdict::Stands),
            (6, 5, Verdict::Quiet),
            (10, 5, Verdict::Stands),
            (0, 5, Verdict::Moves),
            (2, 10, Verdict::Moves),
        ] {
            let [stands, told] = [stands, told].map(Duration::from_secs);
            assert_eq!(verdict(stands, told), expected, "{stands:?} after {told:?}");
        }
    }
}
