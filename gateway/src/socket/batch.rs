use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::limits::WRITE_TIMEOUT;
use super::viewer::{Grant, Viewer};
use crate::chain_clock::{CUT_MARGIN, Reading};
use crate::hub::Message;

/// An instant from which on nothing of a write may go out. It moves with the rights while the write is blocked.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// A deadline at an instant.
    pub(crate) fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= *self.0.lock()
    }

    fn set(&self, at: Instant) {
        *self.0.lock() = at;
    }
}

/// What is being written at once, and by when it must be done.
#[derive(Debug)]
pub(crate) struct Batch {
    /// When a client that takes nothing is given up.
    patience: Instant,
    /// The earlier of that and the first moment at which some of it may no longer be seen.
    deadline: Instant,
    /// Where others read the deadline as it is now.
    shared: Option<Deadline>,
    events: Vec<(Arc<Message>, Grant)>,
}

impl Batch {
    /// A batch for whose writing there is time until an instant, at most [`WRITE_TIMEOUT`].
    pub(crate) fn new(now: Reading, latest: Option<Instant>) -> Self {
        let patience = now.at() + WRITE_TIMEOUT;
        let patience = latest.map_or(patience, |latest| patience.min(latest));
        Self {
            patience,
            deadline: patience,
            shared: None,
            events: Vec::new(),
        }
    }

    /// One more event, with the right to it.
    pub(crate) fn add(&mut self, event: Arc<Message>, grant: Grant, now: Reading) {
        // Most events of a batch have the same right.
        if self.events.last().is_none_or(|(_, last)| *last != grant) {
            self.shorten(grant, now);
        }
        self.events.push((event, grant));
    }

    /// The instant from which on nothing of it may be written, kept up to date for whoever writes it.
    pub(crate) fn deadline(&mut self) -> Deadline {
        self.shared.insert(Deadline::new(self.deadline)).clone()
    }

    /// Number of events.
    pub(crate) fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether the time for it is over, whoever has noticed. The access was asked just now, but the task may have stood
    /// still since then for longer than the margin.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline + CUT_MARGIN
    }

    /// Takes the rights as they are now; `false` when some of it may no longer be seen, or there is no time left.
    pub(super) fn renew(&mut self, viewer: &Viewer) -> bool {
        let now = viewer.read_clock();
        self.deadline = self.patience;
        for index in 0..self.events.len() {
            let (event, grant) = &mut self.events[index];
            let Some(renewed) = viewer.renew(*grant, event, now) else {
                return false;
            };
            *grant = renewed;
            self.shorten(renewed, now);
        }
        if let Some(shared) = &self.shared {
            shared.set(self.deadline);
        }
        now.at() < self.deadline
    }

    fn shorten(&mut self, grant: Grant, now: Reading) {
        let until = grant.until.map(|until| now.instant_of(until));
        if let Some(cut) = until.and_then(|until| until.checked_sub(CUT_MARGIN)) {
            self.deadline = self.deadline.min(cut);
        }
    }
}

impl Viewer {
    /// Carries a write through for as long as everything in the batch may still be seen. `None` when it must be given
    /// up together with the connection: bytes cannot be called back.
    ///
    /// A pause does not end it: what the batch holds came before the pause and is paid. Neither does an extension: the
    /// rights are looked at again before anything is given up.
    pub(crate) async fn carry<T>(
        &mut self,
        batch: &mut Batch,
        write: impl Future<Output = T>,
    ) -> Option<T> {
        let mut write = pin!(write);
        if batch.is_late() {
            return None;
        }
        // Most writes are done at once.
        if let Some(done) = write.as_mut().now_or_never() {
            self.count_write(batch);
            return Some(done);
        }
        loop {
            tokio::select! {
                biased;
                () = passed(batch.deadline) => self.look_at_changed(),
                () = self.changed() => {}
                done = &mut write => {
                    self.count_write(batch);
                    return Some(done);
                }
            }
            if self.over().is_some() || !batch.renew(self) {
                return None;
            }
        }
    }
}

impl Viewer {
    /// Counts a write that ended too late: the system may stop a thread between the look at the clock and the end of the
    /// write. Nothing else does, so that whoever sees this grow has too small a machine.
    fn count_write(&self, batch: &Batch) {
        if batch.events() > 0 && batch.is_late() {
            self.metrics().late_writes.inc();
        }
    }
}

/// Waits for a deadline. Asks the clock itself: a timer may fire after the socket that it guards.
async fn passed(deadline: Instant) {
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|context| {
        if Instant::now() >= deadline {
            return std::task::Poll::Ready(());
        }
        sleep.as_mut().poll(context)
    })
    .await;
}
