//! What a connection waits for beside its events: rare, so that all of it together costs a wake-up nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ashya_protocol::FeedId;
use ashya_protocol::ws::CloseCode;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::history::{Page, Unreadable};
use crate::stream::StreamKey;

/// Something that has happened; what brought it has to be waited for again.
#[derive(Debug)]
pub(super) enum Signal {
    /// Something has changed that concerns a feed.
    Changed(FeedId, Cause),
    /// A page of a stream's history is there.
    Page(StreamKey, Result<Page, Unreadable>),
    /// The connection has to end.
    Over(CloseCode),
}

/// What has changed that concerns a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The feed itself, or what the wallet has paid of it.
    Feed,
    /// Whether its device is there.
    Presence,
    /// The chain's clock has made a step.
    Clock,
}

/// Waits for many signals at once. Each is asked only when it has something to say.
#[derive(Debug, Default)]
pub(super) struct Signals(FuturesUnordered<Abortable<Waiting>>);

type Waiting = Pin<Box<dyn Future<Output = Signal> + Send>>;

/// Ends the wait for a signal when it is dropped.
#[derive(Debug)]
pub(super) struct Silencer(AbortHandle);

impl Signals {
    /// Waits for the next change of what concerns a feed.
    pub(super) fn await_change(
        &mut self,
        feed: FeedId,
        change: impl Future<Output = Cause> + Send + 'static,
    ) -> Silencer {
        Silencer(self.add(change.map(move |cause| Signal::Changed(feed, cause))))
    }

    /// Waits for a page of a stream's history.
    pub(super) fn await_page(
        &mut self,
        key: StreamKey,
        page: impl Future<Output = Result<Page, Unreadable>> + Send + 'static,
    ) -> Silencer {
        Silencer(self.add(page.map(|page| Signal::Page(key, page))))
    }

    /// Waits for something that ends the connection.
    pub(super) fn await_end(
        &mut self,
        end: impl Future<Output = CloseCode> + Send + 'static,
    ) -> Silencer {
        Silencer(self.add(end.map(Signal::Over)))
    }

    /// The next signal.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        loop {
            match self.0.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(signal))) => return Poll::Ready(signal),
                Poll::Ready(Some(Err(_silenced))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn add(&mut self, wait: impl Future<Output = Signal> + Send + 'static) -> AbortHandle {
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
