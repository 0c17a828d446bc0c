//! The first look at the ledger, before which no device is let in: an event whose feed is not known yet would be
//! acknowledged as one that nobody sells, and lost for those who have paid for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::parts::Parts;

/// Time between two questions whether it is done.
const POLL: Duration = Duration::from_millis(20);
/// How long a gateway that knows the feeds of earlier runs waits for what has changed since, and any for a young block
/// once all are read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long any gateway waits while no node gives an answer: that may take days, and devices keep what they see for some
/// time only.
const PATIENCE_WITHOUT_NODE: Duration = Duration::from_secs(2);
/// When it is said that devices wait.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// Done once the view of the ledger is current, or patience is at its end.
#[derive(Debug, Clone)]
pub(super) struct FirstLook(CancellationToken);

impl FirstLook {
    /// Begins to wait. At the end the silence of devices that earlier runs have heard begins: they could not be heard
    /// before.
    pub(super) fn begin(parts: &Parts, tasks: &TaskTracker, shutdown: &CancellationToken) -> Self {
        let (clock, chain) = (parts.clock.clone(), parts.chain.clone());
        let knows_feeds = !parts.index.feeds().is_empty();
        let done = CancellationToken::new();
        let (stop, done_then) = (shutdown.clone(), done.clone().drop_guard());
        let (heard, positions) = (parts.heard.clone(), parts.positions.clone());
        tasks.spawn(async move {
            let _done = done_then;
            let began = Instant::now();
            let mut failing_since = None;
            let mut told = false;
            while !clock.is_current() && !stop.is_cancelled() {
                let waited = began.elapsed();
                failing_since = chain
                    .is_failing()
                    .then(|| failing_since.unwrap_or_else(Instant::now));
                let is_over = ((knows_feeds || chain.is_following()) && waited >= PATIENCE)
                    || failing_since.is_some_and(|since| since.elapsed() >= PATIENCE_WITHOUT_NODE);
                if is_over {
                    tracing::warn!("the ledger is not read yet: devices come in by what is known of it");
                    break;
                }
                if !told && waited >= WORTH_A_WORD {
                    told = true;
                    tracing::info!("devices wait until the ledger is read: their events could not be told from unsold ones");
                }
                sleep(POLL).await;
            }
            let streams = positions.all().into_iter().map(|(stream, _)| stream);
            heard.remember(streams, Instant::now());
        });
        Self(done)
    }

    /// What begins only after it. At a shutdown it begins too, to hear of that by itself.
    pub(super) fn then<T>(&self, what: T) -> impl Future<Output = ()> + use<T>
    where
        T: Future<Output = ()>,
    {
        let done = self.0.clone();
        async move {
            done.cancelled().await;
            what.await;
        }
    }
}
