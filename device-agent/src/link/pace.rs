use std::time::Duration;

use tokio::time::Instant;

/// How fast what has waited is sent: a token bucket, so that the present is not kept waiting by the past, and a gateway
/// that counts what a device sends is not provoked.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time that one event is worth.
    each: Duration,
    /// How far ahead of its time an event may go.
    burst: Duration,
    /// When the bucket would be full.
    full_at: Instant,
}

impl Pace {
    /// `per_second` events a second over time, and a second's worth at once.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second.max(1),
            burst: Duration::from_secs(1),
            full_at: now,
        }
    }

    /// Whether one more may go now; if not, when.
    pub(super) fn check(&self, now: Instant) -> Result<(), Instant> {
        let earliest = self.full_at + self.each;
        match earliest.checked_duration_since(now + self.burst) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(now + wait),
        }
    }

    /// One went.
    pub(super) fn note(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.each;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_events_goes_at_once_and_then_so_many_a_second() {
        let start = Instant::now();
        for per_second in [1, 10, 500] {
            let (mut pace, mut now, mut sent) = (Pace::new(per_second, start), start, Vec::new());
            while sent.len() < 3 * per_second as usize {
                match pace.check(now) {
                    Ok(()) => {
                        pace.note(now);
                        sent.push(now - start);
                    }
                    Err(later) => {
                        assert!(later > now);
                        now = later;
                    }
                }
            }
            let at_once = sent.iter().filter(|at| at.is_zero()).count();
            assert_eq!(at_once, per_second as usize);
            let last = sent.last().unwrap().as_secs_f64();
            assert!((1.9..=2.01).contains(&last), "{per_second}: {last}");
        }
    }
}
