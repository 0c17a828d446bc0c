use std::time::{Duration, Instant};

/// Longest step of a stream's own clock that is believed; more is a camera that set its clock.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Picks frames of a faster stream: the first one of each interval, so that the rate holds over time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    begun: Instant,
    last: Option<u128>,
}

impl Pace {
    pub(super) const fn new(interval: Duration, begun: Instant) -> Self {
        Self {
            interval,
            begun,
            last: None,
        }
    }

    /// Whether a frame that comes now is one to use.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.begun).as_nanos();
        let slot = elapsed / self.interval.as_nanos().max(1);
        let due = self.last.is_none_or(|last| slot > last);
        if due {
            self.last = Some(slot);
        }
        due
    }
}

/// How far a stream has fallen behind the camera, by the times of its frames.
#[derive(Debug, Default)]
pub(super) struct Lag {
    last: Option<(Instant, Duration)>,
    /// Seconds; below zero while it catches up with what was held at the beginning.
    behind: f64,
}

impl Lag {
    /// A frame came at `now` that the camera timed `stamp`: how late it is, against the most punctual one so far.
    pub(super) fn observe(&mut self, now: Instant, stamp: Duration) -> Duration {
        let step = self.last.and_then(|(_, last)| stamp.checked_sub(last));
        match (self.last, step) {
            (Some((then, _)), Some(step)) if step <= LONGEST_STEP => {
                let passed = now.saturating_duration_since(then);
                // Clocks that drift apart and early bursts must not add up.
                self.behind = (self.behind + passed.as_secs_f64() - step.as_secs_f64()).max(0.0);
            }
            _ => self.behind = 0.0,
        }
        self.last = Some((now, stamp));
        Duration::from_secs_f64(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_rate_holds_over_time() {
        let millis = Duration::from_millis;
        for (camera, wanted, picked) in
            [(40, 200, 50), (33, 200, 50), (200, 200, 50), (400, 200, 25)]
        {
            let begun = Instant::now();
            let mut pace = Pace::new(millis(wanted), begun);
            let due = (0..10_000 / camera)
                .filter(|frame| pace.is_due(begun + millis(frame * camera)))
                .count();
            assert_eq!(
                due, picked,
                "a frame every {camera} ms, one every {wanted} ms"
            );
        }
    }

    #[test]
    fn a_stream_that_falls_behind_is_seen() {
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        for (frames, behind) in [
            // In step, after a burst at the beginning, and with a clock that was set.
            (&[(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)][..], 0.0),
            (&[(0.0, 0.0), (0.1, 2.0), (1.1, 3.0)], 0.0),
            (&[(0.0, 0.0), (1.0, 900.0), (2.0, 901.0)], 0.0),
            (&[(0.0, 900.0), (1.0, 1.0), (2.0, 2.0)], 0.0),
            // Half as fast as the camera; and caught up again.
            (&[(0.0, 0.0), (2.0, 1.0), (4.0, 2.0)], 2.0),
            (&[(0.0, 0.0), (2.0, 1.0), (2.1, 2.0), (2.1, 2.1)], 0.0),
            // A camera that was silent, and tells so by its clock.
            (&[(0.0, 0.0), (8.0, 8.0)], 0.0),
        ] {
            let mut lag = Lag::default();
            let last = frames.iter().fold(Duration::ZERO, |_, &(at, stamp)| {
                lag.observe(begun + second.mul_f64(at), second.mul_f64(stamp))
            });
            assert!(
                (last.as_secs_f64() - behind).abs() < 1e-6,
                "{frames:?}: {last:?}"
            );
        }
    }
}
