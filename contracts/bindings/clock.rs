use ashya_protocol::Address;
use serde::{Deserialize, Serialize};

/// The clock of a feed: how its feed time follows from chain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedClock {
    /// Unix seconds at which the feed was opened.
    pub base: u64,
    /// Unix seconds at which the running pause began.
    pub paused_at: Option<u64>,
    /// Seconds of all finished pauses.
    pub paused_total: u64,
    /// Who began the running pause.
    pub paused_by: Option<Address>,
    /// Feed time at which the clock stops for good.
    pub retires_at: Option<u64>,
}

impl FeedClock {
    /// A clock that has run since `base`.
    pub const fn starting_at(base: u64) -> Self {
        Self {
            base,
            paused_at: None,
            paused_total: 0,
            paused_by: None,
            retires_at: None,
        }
    }

    /// Feed time in seconds at the Unix second `now`: `(pausedAt or now) − base − pausedTotal`, at most `retiresAt`.
    pub fn feed_time(&self, now: u64) -> u64 {
        let running = self
            .paused_at
            .unwrap_or(now)
            .saturating_sub(self.base)
            .saturating_sub(self.paused_total);
        self.retires_at.map_or(running, |end| running.min(end))
    }

    /// Unix second at which the clock shows `feed_time`; `None` while it is paused, or when it retires before.
    pub fn wall_time(&self, feed_time: u64) -> Option<u64> {
        if self.paused_at.is_some() || self.retires_at.is_some_and(|end| feed_time > end) {
            return None;
        }
        self.base
            .checked_add(self.paused_total)?
            .checked_add(feed_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: FeedClock = FeedClock::starting_at(1_000);

    #[test]
    fn feed_time_follows_the_clock() {
        let paused = FeedClock {
            paused_at: Some(1_100),
            ..RUNNING
        };
        let resumed = FeedClock {
            paused_total: 50,
            ..RUNNING
        };
        let retired = FeedClock {
            retires_at: Some(3_600),
            ..RUNNING
        };
        for (clock, now, expected) in [
            (RUNNING, 1_000, 0),
            (RUNNING, 1_007, 7),
            (RUNNING, 999, 0),
            (paused, 1_100, 100),
            (paused, 9_999, 100),
            (resumed, 1_100, 50),
            (retired, 4_599, 3_599),
            (retired, 99_999, 3_600),
        ] {
            assert_eq!(clock.feed_time(now), expected, "{clock:?} at {now}");
        }
    }

    #[test]
    fn wall_time_is_its_inverse_while_the_clock_runs() {
        let resumed = FeedClock {
            paused_total: 50,
            ..RUNNING
        };
        let paused = FeedClock {
            paused_at: Some(1_100),
            ..RUNNING
        };
        let retired = FeedClock {
            retires_at: Some(3_600),
            ..RUNNING
        };
        assert_eq!(resumed.wall_time(60), Some(1_110));
        assert_eq!(resumed.feed_time(1_110), 60);
        assert_eq!(paused.wall_time(60), None);
        assert_eq!(
            (retired.wall_time(3_600), retired.wall_time(3_601)),
            (Some(4_600), None)
        );
        assert_eq!(RUNNING.wall_time(u64::MAX), None);
    }
}
