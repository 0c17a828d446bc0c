use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A place for one value between two threads: the newest wins, an older one that nobody took is dropped.
#[derive(Debug)]
pub(crate) struct Latest<T>(Arc<(Mutex<Slot<T>>, Condvar)>);

/// What became of a value that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits to be taken.
    Stored,
    /// It waits to be taken, instead of an older one that nobody took.
    Replaced,
    /// Nobody will take it any more.
    Closed,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    closed: bool,
}

impl<T> Latest<T> {
    pub(crate) fn new() -> Self {
        let slot = Slot {
            value: None,
            closed: false,
        };
        Self(Arc::new((Mutex::new(slot), Condvar::new())))
    }

    /// Puts a value in, over an older one that nobody took.
    pub(crate) fn put(&self, value: T) -> Put {
        let (lock, filled) = &*self.0;
        let mut slot = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            return Put::Closed;
        }
        let older = slot.value.replace(value);
        filled.notify_one();
        if older.is_some() {
            Put::Replaced
        } else {
            Put::Stored
        }
    }

    /// Waits for a value and takes it; `None` once the place is closed.
    pub(crate) fn take(&self) -> Option<T> {
        let (lock, filled) = &*self.0;
        let mut slot = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if slot.closed {
                return None;
            }
            if let Some(value) = slot.value.take() {
                return Some(value);
            }
            slot = filled.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes whoever waits, for the last time.
    pub(crate) fn close(&self) {
        let (lock, filled) = &*self.0;
        lock.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        filled.notify_all();
    }
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_and_drops_are_told() {
        let latest = Latest::new();
        assert_eq!(latest.put(1), Put::Stored);
        assert_eq!(latest.put(2), Put::Replaced);
        assert_eq!(latest.put(3), Put::Replaced);
        assert_eq!(latest.take(), Some(3));
        assert_eq!(latest.put(4), Put::Stored);
    }

    #[test]
    fn closing_wakes_the_taker() {
        let latest: Latest<u8> = Latest::new();
        let taker = latest.clone();
        let thread = std::thread::spawn(move || taker.take());
        latest.close();
        assert_eq!(thread.join().unwrap(), None);
        assert_eq!(latest.put(1), Put::Closed);
    }
}
