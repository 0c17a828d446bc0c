//! How long to wait before what failed is tried again.

use std::time::Duration;

use crate::defaults::{BACKOFF_MAX, BACKOFF_MIN};

/// Waits between failed rounds: doubling, capped, and jittered so that a fleet does not return all at once.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(BACKOFF_MIN)
    }

    pub(crate) fn reset(&mut self) {
        self.0 = BACKOFF_MIN;
    }

    /// The next wait: between half and all of the present step.
    pub(crate) fn next(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(BACKOFF_MAX);
        // Without random bytes a fleet returns together, which is no reason to stop.
        let random = getrandom::u32().unwrap_or_default();
        step / 2 + (step / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again() {
        let mut backoff = Backoff::new();
        for _ in 0..50 {
            let step = backoff.0;
            let wait = backoff.next();
            assert!(step / 2 <= wait && wait <= step, "{wait:?} of {step:?}");
            assert!(step <= BACKOFF_MAX);
        }
        assert_eq!(backoff.0, BACKOFF_MAX);
        backoff.reset();
        assert_eq!(backoff.0, BACKOFF_MIN);
    }
}
