//! What a connection waits for beside its events: rare, so that all of it together costs a wake-up nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ashya_protocol::ws::CloseCode;
use ashya_protocol::{DeviceId, FeedId};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use crate::history::{Page, Unreadable};
use crate::hub::StreamKey;

/// Something that has happened; what brought it has to be waited for again.
#[derive(Debug)]
pub(super) enum Signal {
    /// A feed has changed.
    Changed(FeedId),
    /// The chain's clock was moved.
    ClockMoved(watch::Receiver<u64>),
    /// A device came or went; nothing when too many did for all of them to be told.
    Presence(
        Option<(DeviceId, bool)>,
        broadcast::Receiver<(DeviceId, bool)>,
    ),
    /// A page of a stream's history is there.
    Page(StreamKey, Result<Page, Unreadable>),
    /// The connection has to end.
    Over(CloseCode),
}

/// Waits for many signals at once. Each is asked only when it has something to say.
#[derive(Debug, Default)]
pub(super) struct Signals(FuturesUnordered<Abortable<Waiting>>);

type Waiting = Pin<Box<dyn Future<Output = Option<Signal>> + Send>>;

/// Ends the wait for a signal when it is dropped.
#[derive(Debug)]
pub(super) struct Silencer(AbortHandle);

impl Signals {
    /// Waits for the next change of a feed.
    pub(super) fn await_change(
        &mut self,
        feed: FeedId,
        mut changes: watch::Receiver<u64>,
    ) -> Silencer {
        Silencer(self.add(async move {
            // Also when the feed is gone: it may come again.
            let _ = changes.changed().await;
            Some(Signal::Changed(feed))
        }))
    }

    /// Waits for the next step of the chain's clock.
    pub(super) fn await_clock(&mut self, mut moved: watch::Receiver<u64>) {
        self.add(async move {
            let alive = moved.changed().await.is_ok();
            alive.then_some(Signal::ClockMoved(moved))
        });
    }

    /// Waits for the next device that comes or goes.
    pub(super) fn await_presence(&mut self, mut presence: broadcast::Receiver<(DeviceId, bool)>) {
        self.add(async move {
            match presence.recv().await {
                Ok(change) => Some(Signal::Presence(Some(change), presence)),
                Err(RecvError::Lagged(_)) => Some(Signal::Presence(None, presence)),
                Err(RecvError::Closed) => None,
            }
        });
    }

    /// Waits for a page of a stream's history.
    pub(super) fn await_page(
        &mut self,
        key: StreamKey,
        page: impl Future<Output = Result<Page, Unreadable>> + Send + 'static,
    ) -> Silencer {
        Silencer(self.add(async move { Some(Signal::Page(key, page.await)) }))
    }

    /// Waits for something that ends the connection.
    pub(super) fn await_end(
        &mut self,
        end: impl Future<Output = ()> + Send + 'static,
        code: CloseCode,
    ) -> Silencer {
        Silencer(self.add(async move {
            end.await;
            Some(Signal::Over(code))
        }))
    }

    /// The next signal.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        loop {
            match self.0.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(Some(signal)))) => return Poll::Ready(signal),
                // Silenced, or nothing will ever come of it.
                Poll::Ready(Some(Ok(None) | Err(_))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn add(&mut self, wait: impl Future<Output = Option<Signal>> + Send + 'static) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        let wait: Waiting = Box::pin(wait);
        self.0.push(Abortable::new(wait, registration));
        handle
    }
}

impl Drop for Silencer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
