use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::limits::{CUT_MARGIN, WRITE_TIMEOUT};
use super::viewer::Viewer;
use crate::hub::Message;

/// What is being written at once, and by when it must be done.
#[derive(Debug)]
pub(crate) struct Batch {
    deadline: Instant,
    events: Vec<Arc<Message>>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            deadline: Instant::now() + WRITE_TIMEOUT,
            events: Vec::new(),
        }
    }

    /// One more event, whose access ends at an instant.
    pub(crate) fn add(&mut self, event: Arc<Message>, until: Option<Instant>) {
        self.events.push(event);
        if let Some(cut) = until.and_then(|until| until.checked_sub(CUT_MARGIN)) {
            self.deadline = self.deadline.min(cut);
        }
    }

    /// The instant from which on nothing of it may be written.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Number of events.
    pub(crate) fn events(&self) -> u64 {
        self.events.len() as u64
    }
}

impl Viewer {
    /// Carries a write through for as long as everything in the batch may still be seen. `None` when it must be given
    /// up together with the connection: bytes cannot be called back.
    ///
    /// A pause does not end it: what the batch holds came before the pause and is paid.
    pub(crate) async fn carry<T>(
        &mut self,
        batch: &Batch,
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
        loop {
            tokio::select! {
                biased;
                () = passed(batch.deadline) => return None,
                () = self.changed() => {
                    if !batch.events.iter().all(|event| self.may_still_see(event)) {
                        return None;
                    }
                }
                done = &mut write => return Some(done),
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
