use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::Encoding;
use super::lane::{Begun, Lane, Now, Pass, Sent};
use super::parcel::Parcel;
use super::queue::{Pushed, Queue, Queued};
use crate::stream::StreamKey;
use crate::tcp::Tcp;

/// The bounded queue between the hub and one socket. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
    /// What is about to be written directly. Nothing is queued meanwhile: whoever comes first queues this before.
    lent: Option<Arc<Parcel>>,
    /// Whoever waits for the queue to fill. Taken by the event that fills it, so that a socket is woken once for all
    /// that comes until it has looked.
    waits: Option<Waker>,
    /// The socket's connection, where it can be written to directly.
    lane: Option<Lane>,
    /// What may be written directly, while the socket's task waits and has nothing to write itself.
    pass: Option<Pass>,
    /// What was begun to be written.
    begun: Option<Box<Begun>>,
}

/// A task that waits for what was just taken.
#[derive(Debug)]
pub(super) struct Waiting {
    outbox: Outbox,
    waker: Waker,
}

/// What a delivery has come to.
#[derive(Debug)]
pub(super) enum Delivered {
    /// All is written.
    Written,
    /// All is written, but too late.
    Late,
    /// The task has to go on.
    Left(Waker),
}

/// The socket has let so much wait that it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflown;

impl Outbox {
    /// Lets the connection be written to directly, whenever there is a pass, until the session is revoked.
    pub(crate) fn open_lane(&self, tcp: Tcp, encoding: Encoding, revoked: CancellationToken) {
        self.lock().lane = Some(Lane::new(tcp, encoding, revoked));
    }

    /// Takes events; gives back how many were lost for it, and who waits. That is handed out so that it can be
    /// delivered to without the lock of all watchers.
    pub(super) fn push(&self, parcel: &Arc<Parcel>) -> (u64, Option<Waiting>) {
        let mut inner = self.lock();
        let waker = inner.waits.take();
        let lost = if waker.is_some() && inner.may_lend(parcel) {
            inner.lent = Some(parcel.clone());
            0
        } else {
            inner.queue_lent();
            inner.queue_all(parcel)
        };
        let waiting = waker.map(|waker| Waiting {
            outbox: self.clone(),
            waker,
        });
        (lost, waiting)
    }

    /// Waits until something may be there to pop, or was begun. Until [`Self::take_over`] what comes may be written
    /// directly, as far as `pass` covers it.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>, pass: Option<Pass>) -> Poll<()> {
        let mut inner = self.lock();
        inner.queue_lent();
        if !inner.queue.is_empty() || inner.begun.is_some() {
            return Poll::Ready(());
        }
        inner.pass = pass;
        if !matches!(&inner.waits, Some(waker) if waker.will_wake(context.waker())) {
            inner.waits = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Nothing is written directly any more: the task is at work.
    pub(crate) fn take_over(&self) {
        self.lock().pass = None;
    }

    /// What was begun to be written directly, to be gone on with before anything else.
    pub(crate) fn take_begun(&self) -> Option<Begun> {
        self.lock().begun.take().map(|begun| *begun)
    }

    /// The next thing to write, if there is one.
    ///
    /// # Errors
    /// When the socket has stayed behind for too long.
    pub(crate) fn pop(&self) -> Result<Option<Queued>, Overflown> {
        let mut inner = self.lock();
        inner.queue_lent();
        if inner.queue.is_overflown() {
            return Err(Overflown);
        }
        Ok(inner.queue.pop())
    }

    /// Takes out everything of one stream.
    pub(super) fn forget(&self, key: &StreamKey) {
        let mut inner = self.lock();
        inner.queue_lent();
        inner.queue.forget(key);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl Inner {
    /// Whether a parcel may be written directly: nothing is before it, and all of it can be queued if that fails.
    fn may_lend(&self, parcel: &Parcel) -> bool {
        let is_idle = self.queue.is_empty() && self.lent.is_none();
        let may_write = self.lane.is_some() && self.pass.is_some();
        is_idle && may_write && parcel.fits()
    }

    /// Queues what was about to be written directly: somebody has come before that. Nothing is lost for it.
    fn queue_lent(&mut self) {
        if let Some(parcel) = self.lent.take() {
            self.queue_all(&parcel);
        }
    }

    /// Queues events, and gives back how many were lost for it.
    fn queue_all(&mut self, parcel: &Parcel) -> u64 {
        let mut lost = 0;
        for event in parcel.events() {
            if let Pushed::Dropped(dropped) = self.queue.push(event.clone()) {
                lost += dropped;
            }
        }
        lost
    }
}

impl Waiting {
    /// Writes a parcel that was just taken, if nothing else is there to do for the socket.
    pub(super) fn deliver(self, parcel: &Arc<Parcel>, now: Now) -> Delivered {
        let mut inner = self.outbox.lock();
        let lent = inner.lent.take_if(|lent| Arc::ptr_eq(lent, parcel));
        if lent.is_none() {
            drop(inner);
            return Delivered::Left(self.waker);
        }
        let sent = match (&inner.lane, &inner.pass) {
            (Some(lane), Some(pass)) => lane.send(parcel, pass, now),
            _ => Sent::Nothing,
        };
        match sent {
            Sent::All => {
                inner.waits.get_or_insert(self.waker);
                Delivered::Written
            }
            Sent::Late => {
                inner.waits.get_or_insert(self.waker);
                Delivered::Late
            }
            Sent::Part(rest) => {
                inner.begun = Some(Box::new(rest));
                inner.pass = None;
                drop(inner);
                Delivered::Left(self.waker)
            }
            Sent::Nothing => {
                inner.queue_all(parcel);
                drop(inner);
                Delivered::Left(self.waker)
            }
        }
    }
}

#[cfg(test)]
mod tests;
