use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::queue::{Pushed, Queue, Queued};
use super::{Message, StreamKey};

/// The bounded queue between the hub and one socket. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
    /// Whoever waits for the queue to fill. Taken by the event that fills it, so that a socket is woken once for all
    /// that comes until it has looked.
    waits: Option<Waker>,
}

/// The socket has let so much wait that it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflown;

impl Outbox {
    /// Queues an event. The waker, if there is one, has to be woken; it is handed out so that this can happen without
    /// any lock.
    pub(super) fn push(&self, message: Arc<Message>) -> (Pushed, Option<Waker>) {
        let mut inner = self.lock();
        let pushed = inner.queue.push(message);
        (pushed, inner.waits.take())
    }

    /// Waits until something may be there to pop.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if !inner.queue.is_empty() {
            return Poll::Ready(());
        }
        if !matches!(&inner.waits, Some(waker) if waker.will_wake(context.waker())) {
            inner.waits = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// The next thing to write, if there is one.
    ///
    /// # Errors
    /// When the socket has stayed behind for too long.
    pub(crate) fn pop(&self) -> Result<Option<Queued>, Overflown> {
        let mut inner = self.lock();
        if inner.queue.is_overflown() {
            return Err(Overflown);
        }
        Ok(inner.queue.pop())
    }

    /// Takes out everything of one stream.
    pub(super) fn forget(&self, key: &StreamKey) {
        self.lock().queue.forget(key);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock()
    }
}
