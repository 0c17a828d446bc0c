use ashya_protocol::FeedId;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Waits for changes of many feeds at once.
#[derive(Debug, Default)]
pub(super) struct LookOuts(FuturesUnordered<BoxFuture<'static, Option<LookOut>>>);

type LookOut = (FeedId, watch::Receiver<u64>, CancellationToken);

impl LookOuts {
    /// Looks out for changes of a feed until the guard is dropped.
    pub(super) fn add(&mut self, feed: FeedId, changes: watch::Receiver<u64>) -> DropGuard {
        let stop = CancellationToken::new();
        self.0.push(look_out(feed, changes, stop.clone()));
        stop.drop_guard()
    }

    /// The next feed that has changed. Safe to drop while it waits.
    pub(super) async fn next(&mut self) -> FeedId {
        loop {
            match self.0.next().await {
                Some(Some((feed, changes, stop))) => {
                    self.0.push(look_out(feed, changes, stop));
                    return feed;
                }
                Some(None) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// Waits for the next change of a feed; `None` when nobody watches it any more.
fn look_out(
    feed: FeedId,
    mut changes: watch::Receiver<u64>,
    stop: CancellationToken,
) -> BoxFuture<'static, Option<LookOut>> {
    Box::pin(async move {
        tokio::select! {
            () = stop.cancelled() => None,
            changed = changes.changed() => changed.ok().map(|()| (feed, changes, stop.clone())),
        }
    })
}
