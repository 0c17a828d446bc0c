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
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use ashya_contracts::{Deployment, LedgerEvent, Rpc};
    use ashya_protocol::rest::Head;
    use ashya_protocol::{Address, DeviceId, FeedId};
    use tokio::time::timeout;

    use super::*;
    use crate::chain_clock::wall_clock;
    use crate::config::{Config, RunArgs};
    use crate::store::Store;

    /// Longer than anybody waits.
    const EVER: Duration = Duration::from_secs(60);

    /// A gateway whose nodes have said nothing yet.
    fn parts() -> Parts {
        let folder = tempfile::tempdir().unwrap();
        let deployment = Deployment {
            chain_id: 31_337,
            ledger: Address::new([9; 20]),
            block: 1,
        };
        let args = RunArgs {
            data: Some(folder.path().to_owned()),
            ledger: Some(deployment.ledger),
            deployment_block: Some(deployment.block),
            ..RunArgs::default()
        };
        let config = Config::load(args).unwrap();
        let rpc = Rpc::any_of(&config.chain.rpc).unwrap();
        Parts::load(&config, deployment, Store::temporary(), rpc).unwrap()
    }

    /// As [`parts`], with a feed of an earlier run.
    fn parts_with_a_feed() -> Parts {
        let parts = parts();
        parts.index.apply(&[LedgerEvent::FeedOpened {
            feed: FeedId::new([5; 32]),
            device: DeviceId::new([4; 20]),
            name: "gate".parse().unwrap(),
            owner: Address::new([1; 20]),
            base: 1_000,
        }]);
        parts
    }

    fn read_the_ledger(parts: &Parts) {
        let head = Head {
            number: 1,
            timestamp: wall_clock().as_secs(),
        };
        parts.clock.saw(head, Instant::now()).unwrap();
    }

    /// Whole seconds until devices come in, while `course` happens; `None` where they wait for ever.
    async fn wait(parts: &Parts, course: impl Future<Output = ()>) -> Option<u64> {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let began = Instant::now();
        let look = FirstLook::begin(parts, &tasks, &shutdown);
        let waiting = async {
            let waited = timeout(EVER, look.then(async {})).await;
            waited.ok().map(|()| began.elapsed().as_secs())
        };
        let (waited, ()) = tokio::join!(waiting, course);
        shutdown.cancel();
        waited
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_knows_feeds_or_has_read_all_blocks_waits_ten_seconds() {
        assert_eq!(wait(&parts(), async {}).await, None);
        assert_eq!(wait(&parts_with_a_feed(), async {}).await, Some(10));
        for (parts, seconds) in [(parts(), None), (parts_with_a_feed(), Some(10))] {
            parts.chain.reading(5, 9);
            assert_eq!(wait(&parts, async {}).await, seconds, "reading");
        }
        for parts in [parts(), parts_with_a_feed()] {
            parts.chain.following();
            assert_eq!(wait(&parts, async {}).await, Some(10), "following");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_seconds_without_any_node_are_enough() {
        for parts in [parts(), parts_with_a_feed()] {
            parts.chain.failing("gone".into());
            assert_eq!(wait(&parts, async {}).await, Some(2));
        }
        // A node that answers between is there.
        let parts = parts();
        let course = async {
            parts.chain.failing("gone".into());
            sleep(Duration::from_millis(1_500)).await;
            parts.chain.reading(5, 9);
            sleep(Duration::from_millis(1_600)).await;
            parts.chain.failing("gone".into());
        };
        assert_eq!(wait(&parts, course).await, Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_once_the_ledger_is_read() {
        let parts = parts_with_a_feed();
        let course = async {
            sleep(Duration::from_secs(5)).await;
            read_the_ledger(&parts);
        };
        assert_eq!(wait(&parts, course).await, Some(5));
        assert_eq!(wait(&parts, async {}).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_is_not_waited_out() {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let look = FirstLook::begin(&parts(), &tasks, &shutdown);
        shutdown.cancel();
        timeout(Duration::from_secs(1), look.then(async {}))
            .await
            .unwrap();
    }
}
