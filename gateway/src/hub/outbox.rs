use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::lane::{Begun, Lane, Now, Pass, Sent};
use super::parcel::Parcel;
use super::queue::{Pushed, Queue, Queued};
use super::{Encoding, Message, StreamKey};
use crate::server::Tcp;

/// The bounded queue between the hub and one socket. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
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

/// A task that waits for what was just queued.
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

    /// Queues events; gives back how many were lost for it, and who waits. That is handed out so that it can be
    /// delivered to without the lock of all watchers.
    pub(super) fn push(&self, events: &[Arc<Message>]) -> (u64, Option<Waiting>) {
        let mut inner = self.lock();
        let mut lost = 0;
        for event in events {
            if let Pushed::Dropped(dropped) = inner.queue.push(event.clone()) {
                lost += dropped;
            }
        }
        let waiting = inner.waits.take().map(|waker| Waiting {
            outbox: self.clone(),
            waker,
        });
        (lost, waiting)
    }

    /// Waits until something may be there to pop, or was begun. Until [`Self::take_over`] what comes may be written
    /// directly, as far as `pass` covers it.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>, pass: Option<Pass>) -> Poll<()> {
        let mut inner = self.lock();
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
        self.0.lock()
    }
}

impl Waiting {
    /// Writes a parcel that was just queued, if nothing else is there to do for the socket.
    pub(super) fn deliver(self, parcel: &Parcel<'_>, now: Now) -> Delivered {
        let mut inner = self.outbox.lock();
        let Inner {
            queue,
            waits,
            lane: Some(lane),
            pass: Some(pass),
            begun,
        } = &mut *inner
        else {
            drop(inner);
            return Delivered::Left(self.waker);
        };
        if !queue.is_just(parcel.events()) {
            drop(inner);
            return Delivered::Left(self.waker);
        }
        match lane.send(parcel, *pass, now) {
            sent @ (Sent::All | Sent::Late) => {
                queue.clear();
                waits.get_or_insert(self.waker);
                match sent {
                    Sent::Late => Delivered::Late,
                    _ => Delivered::Written,
                }
            }
            Sent::Part(rest) => {
                queue.clear();
                *begun = Some(Box::new(rest));
                inner.pass = None;
                drop(inner);
                Delivered::Left(self.waker)
            }
            Sent::Nothing => {
                drop(inner);
                Delivered::Left(self.waker)
            }
        }
    }
}
