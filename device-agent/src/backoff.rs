use std::time::Duration;

/// First wait after a failure.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait between two attempts, so that a device is back soon after its gateway is.
const LONGEST: Duration = Duration::from_secs(15);

/// Waits between attempts: doubling, capped, and each cut by chance so that a thousand devices do not come at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    /// Waits that never exceed `longest`.
    pub(crate) const fn up_to(longest: Duration) -> Self {
        Self {
            failures: 0,
            longest,
        }
    }

    /// The wait after one more failure.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = wait(self.failures, self.longest, rand::random_range(0.0..1.0));
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Forgets the failures, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `chance` in 0..1 gives half of the full wait up to all of it.
fn wait(failures: u32, longest: Duration, chance: f64) -> Duration {
    let full = FIRST
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(longest);
    full.mul_f64(0.5 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        for (failures, chance, millis) in [
            (0, 1.0, 250),
            (0, 0.0, 125),
            (1, 1.0, 500),
            (3, 0.5, 1500),
            (6, 1.0, 15_000),
            (u32::MAX, 1.0, 15_000),
            (u32::MAX, 0.0, 7_500),
        ] {
            assert_eq!(
                wait(failures, LONGEST, chance),
                Duration::from_millis(millis),
                "{failures} {chance}"
            );
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
        let longest = Duration::from_secs(2);
        let mut patient = Backoff::up_to(longest);
        assert!((0..20).all(|_| patient.next_wait() <= longest));
    }
}
