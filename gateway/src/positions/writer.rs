//! Brings positions to the disk, one batch after the other.

use std::thread;

use tokio::time::Instant;

use super::{Batch, Dirty, Positions, key_bytes};
use crate::backoff::Backoff;
use crate::chained::Chained;
use crate::defaults::BATCH_SPACING;
use crate::store::{StoreError, unbroken};

impl Positions {
    /// Writes batches until [`Self::close`], and then what is left. Blocks: it wants a thread of its own.
    pub(crate) fn keep_writing(&self) {
        self.keep_writing_by(|dirty| {
            let positions = dirty.positions.iter();
            let positions = positions
                .map(|((device, stream), position)| (key_bytes(*device, stream), *position));
            let events = dirty.events.iter().map(|kept| &kept.event);
            self.store.keep_accepted(positions, events)?;
            self.store.flush_blocking()
        });
    }

    /// Nothing will be accepted any more: the writer ends once all is written.
    pub(crate) fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_one();
    }

    pub(super) fn keep_writing_by(&self, mut write: impl FnMut(&Dirty) -> Result<(), StoreError>) {
        let mut backoff = Backoff::new();
        while let Some((batch, dirty)) = self.next_batch() {
            let began = std::time::Instant::now();
            // The thread goes on after a panic: nobody is acknowledged meanwhile, and the log says why.
            let written = unbroken(|| write(&dirty));
            match written {
                Ok(()) => {
                    self.shared.state.lock().writing_since = None;
                    self.shared.written.send_replace(batch);
                    backoff.reset();
                    // The first event after a pause is written at once; those that follow closely share a flush.
                    thread::sleep(BATCH_SPACING.saturating_sub(began.elapsed()));
                }
                Err(error) => {
                    tracing::error!(
                        error = %Chained(&error),
                        "positions cannot be written: events are not acknowledged until they are"
                    );
                    self.put_back(dirty);
                    if !self.pause(&mut backoff) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for something to write; `None` when nothing will come any more.
    fn next_batch(&self) -> Option<(Batch, Dirty)> {
        let mut state = self.shared.state.lock();
        while state.dirty.positions.is_empty() {
            if state.closed {
                return None;
            }
            self.shared.changed.wait(&mut state);
        }
        let batch = state.gathering;
        state.gathering = batch.next();
        // What could not be written is on its way since its first attempt.
        state.writing_since.get_or_insert_with(Instant::now);
        Some((batch, std::mem::take(&mut state.dirty)))
    }

    /// Lets the next batch carry what could not be written, except where a later position is there already.
    fn put_back(&self, dirty: Dirty) {
        let mut state = self.shared.state.lock();
        for (key, position) in dirty.positions {
            state.dirty.positions.entry(key).or_insert(position);
        }
        state.dirty.events.extend(dirty.events);
    }

    /// Gives the disk time. False when the gateway is stopping, and there is none.
    fn pause(&self, backoff: &mut Backoff) -> bool {
        let mut state = self.shared.state.lock();
        let until = std::time::Instant::now() + backoff.next();
        while !state.closed {
            if self
                .shared
                .changed
                .wait_until(&mut state, until)
                .timed_out()
            {
                return true;
            }
        }
        false
    }
}
