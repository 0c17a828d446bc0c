use std::hint::black_box;
use std::sync::{Arc, OnceLock};
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
pub(crate) struct Outbox(Arc<Shared>);

/// In this order and no larger than it must be: whoever [fetches](Outbox::fetch) both ends has most of it.
#[derive(Debug, Default)]
#[repr(C)]
struct Shared {
    inner: Mutex<Inner>,
    /// The socket's connection, where it can be written to directly.
    lane: OnceLock<Lane>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What waits; most sockets have nothing that does.
    queue: Option<Box<Queue>>,
    /// What is about to be written directly. Nothing is queued meanwhile: whoever comes first queues this before.
    lent: Option<Arc<Parcel>>,
    /// Whoever waits for the queue to fill. Taken by the event that fills it, so that a socket is woken once for all
    /// that comes until it has looked.
    waits: Option<Waker>,
    /// What may be written directly, while the socket's task waits and has nothing to write itself.
    pass: Option<Pass>,
    /// The session of the wallet, which may be revoked. None where nothing is written directly.
    revoked: Option<CancellationToken>,
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
        self.0.lane.get_or_init(|| Lane::new(tcp, encoding));
        self.lock().revoked = Some(revoked);
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
        if inner.has_queued() || inner.begun.is_some() {
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
        let Some(queue) = &mut inner.queue else {
            return Ok(None);
        };
        if queue.is_overflown() {
            return Err(Overflown);
        }
        let next = queue.pop();
        if queue.is_empty() {
            inner.queue = None;
        }
        Ok(next)
    }

    /// Takes out everything of one stream.
    pub(super) fn forget(&self, key: &StreamKey) {
        let mut inner = self.lock();
        inner.queue_lent();
        if let Some(queue) = &mut inner.queue {
            queue.forget(key);
            if queue.is_empty() {
                inner.queue = None;
            }
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Has the processor fetch what a delivery looks at first. The kernel's work for one socket pushes the next one's out
    /// of its caches; asked for many at once, all come in the time of one or two, since none waits for another.
    pub(super) fn fetch(&self) {
        black_box(self.0.inner.is_locked());
        if let Some(lane) = self.0.lane.get() {
            lane.fetch();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock()
    }
}

impl Inner {
    /// Whether anything is queued.
    fn has_queued(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Whether a parcel may be written directly: nothing is before it, and all of it can be queued if that fails.
    fn may_lend(&self, parcel: &Parcel) -> bool {
        let is_idle = !self.has_queued() && self.lent.is_none();
        let may_write = self.revoked.is_some() && self.pass.is_some();
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
        let queue = self.queue.get_or_insert_default();
        for event in parcel.events() {
            if let Pushed::Dropped(dropped) = queue.push(event.clone()) {
                lost += dropped;
            }
        }
        lost
    }
}

impl Waiting {
    /// Has the processor fetch what [`Self::deliver`] looks at first.
    pub(super) fn fetch(&self) {
        self.outbox.fetch();
    }

    /// Writes a parcel that was just taken, if nothing else is there to do for the socket.
    pub(super) fn deliver(self, parcel: &Arc<Parcel>, now: Now) -> Delivered {
        let mut inner = self.outbox.lock();
        let lent = inner.lent.take_if(|lent| Arc::ptr_eq(lent, parcel));
        if lent.is_none() {
            drop(inner);
            return Delivered::Left(self.waker);
        }
        let is_over = inner
            .revoked
            .as_ref()
            .is_none_or(|revoked| revoked.is_cancelled());
        let sent = match (self.outbox.0.lane.get(), &inner.pass) {
            (Some(lane), Some(pass)) if !is_over => lane.send(parcel, pass, now),
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
