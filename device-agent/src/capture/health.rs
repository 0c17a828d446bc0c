use std::time::{Duration, Instant};

/// Whether the pictures of a source are whole. One that sends damaged ones only is as dead as one that sends none.
#[derive(Debug)]
pub(super) struct Health {
    patience: Duration,
    /// When a whole picture came, or the source was opened.
    since: Instant,
    /// Damaged pictures since the last whole one.
    damaged: u64,
}

/// What a damaged picture means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The first after a whole one: to be told.
    First,
    /// One more, which says nothing new.
    Another,
    /// No whole one came for too long, but so many damaged ones.
    TooLong(u64),
}

impl Health {
    /// Of a source that is opened now and may send damaged pictures as long as `patience`.
    pub(super) const fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            since: now,
            damaged: 0,
        }
    }

    /// A whole picture came.
    pub(super) const fn whole(&mut self, now: Instant) {
        self.since = now;
        self.damaged = 0;
    }

    /// The source was opened again, for a new try.
    pub(super) const fn reopened(&mut self, now: Instant) {
        self.since = now;
    }

    /// A damaged picture came.
    pub(super) fn damaged(&mut self, now: Instant) -> Damage {
        self.damaged += 1;
        if now.saturating_duration_since(self.since) > self.patience {
            Damage::TooLong(self.damaged)
        } else if self.damaged == 1 {
            Damage::First
        } else {
            Damage::Another
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_once_and_not_suffered_for_ever() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut health = Health::new(Duration::from_secs(20), begun);
        for (second, expected) in [
            (1, Damage::First),
            (2, Damage::Another),
            (20, Damage::Another),
            (21, Damage::TooLong(4)),
        ] {
            assert_eq!(health.damaged(at(second)), expected, "{second} s");
        }
        // The new try has as long as the first, and is not told anew.
        health.reopened(at(22));
        assert_eq!(health.damaged(at(42)), Damage::Another);
        assert_eq!(health.damaged(at(43)), Damage::TooLong(6));
        health.whole(at(50));
        assert_eq!(health.damaged(at(51)), Damage::First);
        assert_eq!(health.damaged(at(70)), Damage::Another);
    }
}
