use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::limits::{CUT_MARGIN, WRITE_TIMEOUT};
use super::viewer::{Grant, Viewer};
use crate::chain_clock::ChainClock;
use crate::hub::Message;

/// What is being written at once, and by when it must be done.
#[derive(Debug)]
pub(crate) struct Batch {
    /// When a client that takes nothing is given up.
    patience: Instant,
    /// The earlier of that and the first moment at which some of it may no longer be seen.
    deadline: Instant,
    events: Vec<(Arc<Message>, Grant)>,
}

impl Batch {
    /// A batch for whose writing there is time until an instant, at most [`WRITE_TIMEOUT`].
    pub(crate) fn new(latest: Option<Instant>) -> Self {
        let patience = Instant::now() + WRITE_TIMEOUT;
        let patience = latest.map_or(patience, |latest| patience.min(latest));
        Self {
            patience,
            deadline: patience,
            events: Vec::new(),
        }
    }

    /// One more event, with the right to it.
    pub(crate) fn add(&mut self, event: Arc<Message>, grant: Grant, clock: &ChainClock) {
        // Most events of a batch have the same right.
        if self.events.last().is_none_or(|(_, last)| *last != grant) {
            self.shorten(grant, clock);
        }
        self.events.push((event, grant));
    }

    /// The instant from which on nothing of it may be written.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Number of events.
    pub(crate) fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// Takes the rights as they are now; `false` when some of it may no longer be seen.
    fn renew(&mut self, viewer: &Viewer, clock: &ChainClock) -> bool {
        self.deadline = self.patience;
        for index in 0..self.events.len() {
            let (event, grant) = &mut self.events[index];
            let Some(renewed) = viewer.renew(*grant, event) else {
                return false;
            };
            *grant = renewed;
            self.shorten(renewed, clock);
        }
        true
    }

    fn shorten(&mut self, grant: Grant, clock: &ChainClock) {
        let until = grant.until.map(|until| clock.instant_of(until));
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
        // The access was asked just now, and most writes are done at once. Between the two the task may have stood
        // still for longer than the margin, though, and then nothing may go out.
        if Instant::now() >= batch.deadline + CUT_MARGIN {
            return None;
        }
        if let Some(done) = write.as_mut().now_or_never() {
            return Some(done);
        }
        let clock = self.clock();
        loop {
            tokio::select! {
                biased;
                () = passed(batch.deadline) => self.look_at_changed(),
                () = self.changed() => {}
                done = &mut write => return Some(done),
            }
            if self.over().is_some()
                || !(batch.renew(self, &clock) && Instant::now() < batch.deadline)
            {
                return None;
            }
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
