use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A place for one value between two threads: the newest wins, an older one that nobody took is dropped.
#[derive(Debug)]
pub(crate) struct Latest<T>(Arc<(Mutex<Slot<T>>, Condvar)>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    closed: bool,
    dropped: u64,
}

impl<T> Latest<T> {
    pub(crate) fn new() -> Self {
        let slot = Slot {
            value: None,
            closed: false,
            dropped: 0,
        };
        Self(Arc::new((Mutex::new(slot), Condvar::new())))
    }

    /// Puts a value in. False when nobody will take it any more.
    pub(crate) fn put(&self, value: T) -> bool {
        let (lock, filled) = &*self.0;
        let mut slot = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            return false;
        }
        if slot.value.replace(value).is_some() {
            slot.dropped += 1;
        }
        filled.notify_one();
        true
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

    /// Values that nobody took.
    pub(crate) fn dropped(&self) -> u64 {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .dropped
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
    fn the_newest_wins_and_drops_are_counted() {
        let latest = Latest::new();
        for value in 1..=3 {
            assert!(latest.put(value));
        }
        assert_eq!((latest.take(), latest.dropped()), (Some(3), 2));
    }

    #[test]
    fn closing_wakes_the_taker() {
        let latest: Latest<u8> = Latest::new();
        let taker = latest.clone();
        let thread = std::thread::spawn(move || taker.take());
        latest.close();
        assert_eq!(thread.join().unwrap(), None);
        assert!(!latest.put(1));
    }
}
