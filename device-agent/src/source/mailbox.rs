use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::latest::Put;

/// Longest wait without a look at whether it is time to stop.
const NAP: Duration = Duration::from_millis(50);
/// Items that wait where each one counts, beside the one that is read. One is enough, and a frame takes megabytes.
const READ_AHEAD: usize = 1;

/// What becomes of items that come faster than they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// They wait for each other.
    EachInTurn,
    /// The newest replaces the one before it.
    NewestOnly,
}

/// Between the thread that reads a source and the one that asks for frames; never more than a few items.
#[derive(Debug)]
pub(super) struct Mailbox<T, E> {
    delivery: Delivery,
    shared: Arc<(Mutex<State<T, E>>, Condvar)>,
}

#[derive(Debug)]
struct State<T, E> {
    items: VecDeque<T>,
    end: Option<Result<(), E>>,
    closed: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T, E> {
    /// An item.
    Item(T),
    /// No more will come.
    End(Result<(), E>),
    /// Nothing for as long as was waited.
    Nothing,
}

impl<T, E> Mailbox<T, E> {
    pub(super) fn new(delivery: Delivery) -> Self {
        let state = State {
            items: VecDeque::new(),
            end: None,
            closed: false,
        };
        Self {
            delivery,
            shared: Arc::new((Mutex::new(state), Condvar::new())),
        }
    }

    /// Puts an item in; waits for room where each one counts.
    pub(super) fn put(&self, item: T) -> Put {
        let mut state = self.state();
        if self.delivery == Delivery::EachInTurn {
            while state.items.len() >= READ_AHEAD && !state.closed {
                state = self.wait(state, NAP);
            }
        }
        if state.closed {
            return Put::Closed;
        }
        let replaces = self.delivery == Delivery::NewestOnly && state.items.pop_front().is_some();
        state.items.push_back(item);
        self.shared.1.notify_all();
        if replaces { Put::Replaced } else { Put::Stored }
    }

    /// Says that no more will come, and why. The first word counts.
    pub(super) fn end(&self, how: Result<(), E>) {
        self.state().end.get_or_insert(how);
        self.shared.1.notify_all();
    }

    /// Nobody will take any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.shared.1.notify_all();
    }

    /// Waits for an item as long as `patience`. Told to stop, it is the end.
    pub(super) fn take(&self, patience: Duration, stop: &CancellationToken) -> Taken<T, E> {
        let due = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if stop.is_cancelled() {
                return Taken::End(Ok(()));
            }
            if let Some(item) = state.items.pop_front() {
                self.shared.1.notify_all();
                return Taken::Item(item);
            }
            if let Some(end) = state.end.take() {
                state.end = Some(Ok(()));
                return Taken::End(end);
            }
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Taken::Nothing;
            }
            state = self.wait(state, rest.min(NAP));
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        let (lock, _) = &*self.shared;
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<T, E>>,
        longest: Duration,
    ) -> MutexGuard<'a, State<T, E>> {
        let waited = self.shared.1.wait_timeout(state, longest);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl<T, E> Clone for Mailbox<T, E> {
    fn clone(&self) -> Self {
        Self {
            delivery: self.delivery,
            shared: Arc::clone(&self.shared),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn the_newest_replaces_the_one_before() {
        let stop = CancellationToken::new();
        let mailbox: Mailbox<u8, &str> = Mailbox::new(Delivery::NewestOnly);
        let put = [1, 2, 3].map(|item| mailbox.put(item));
        assert_eq!(put, [Put::Stored, Put::Replaced, Put::Replaced]);
        mailbox.end(Err("cut"));
        mailbox.end(Err("too late"));
        assert_eq!(mailbox.take(SHORT, &stop), Taken::Item(3));
        assert_eq!(mailbox.take(SHORT, &stop), Taken::End(Err("cut")));
        assert_eq!(mailbox.take(SHORT, &stop), Taken::End(Ok(())));
    }

    #[test]
    fn items_that_count_wait_for_room() {
        let stop = CancellationToken::new();
        let mailbox: Mailbox<u32, &str> = Mailbox::new(Delivery::EachInTurn);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for item in 0..100 {
                    assert_eq!(mailbox.put(item), Put::Stored);
                }
                mailbox.end(Ok(()));
            });
            for item in 0..100 {
                assert_eq!(mailbox.take(SHORT * 500, &stop), Taken::Item(item));
            }
            assert_eq!(mailbox.take(SHORT, &stop), Taken::End(Ok(())));
        });
        mailbox.put(1);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| mailbox.put(2));
            mailbox.close();
            assert_eq!(second.join().unwrap(), Put::Closed);
        });
    }

    #[test]
    fn waiting_ends_with_patience_or_when_told() {
        let stop = CancellationToken::new();
        let mailbox: Mailbox<u8, &str> = Mailbox::new(Delivery::NewestOnly);
        assert_eq!(mailbox.take(SHORT, &stop), Taken::Nothing);
        stop.cancel();
        let begun = Instant::now();
        assert_eq!(mailbox.take(SHORT * 1000, &stop), Taken::End(Ok(())));
        assert!(begun.elapsed() < SHORT * 500);
    }
}
