use ashya_contracts::FeedClock;
use serde::{Deserialize, Serialize};

/// Most finished pauses of a feed that are remembered: more than an outage or two an hour for two days.
const MAX_PAUSES: usize = 64;

/// The finished pauses of a feed, the last of them: what its clock showed in the past follows from them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pauses {
    /// Unix second before which nothing is known any more; 0 while all pauses are.
    known_from: u64,
    /// Half-open, in Unix seconds, in order.
    finished: Vec<(u64, u64)>,
}

impl Pauses {
    pub(crate) const fn is_empty(&self) -> bool {
        self.finished.is_empty()
    }

    /// Notes the pause of `before` if it is over, which is when its seconds are counted.
    pub(super) fn step(&mut self, before: &FeedClock, after: &FeedClock) {
        let seconds = after.paused_total.saturating_sub(before.paused_total);
        let Some(from) = before.paused_at.filter(|_| seconds > 0) else {
            return;
        };
        // A replay of the ledger's words comes to the same end: nothing stays that begins later.
        self.finished.retain(|(earlier, _)| *earlier < from);
        self.finished.push((from, from.saturating_add(seconds)));
        if self.finished.len() > MAX_PAUSES {
            let (_, to) = self.finished.remove(0);
            self.known_from = to;
        }
    }

    /// The first Unix second from `at` on in which the clock ran, as far as is known.
    pub(super) fn runs_from(&self, clock: &FeedClock, at: u64) -> Option<u64> {
        let known = at.max(self.known_from);
        let runs = self.finished.iter().fold(
            known,
            |at, &(from, to)| {
                if from <= at { at.max(to) } else { at }
            },
        );
        clock
            .paused_at
            .is_none_or(|from| runs < from)
            .then_some(runs)
    }

    /// What the clock showed at a Unix second; `None` while it stood still, before the feed was opened, and where
    /// nothing is known any more.
    pub(super) fn feed_time_at(&self, clock: &FeedClock, at: u64) -> Option<u64> {
        let is_paused = |&(from, to): &(u64, u64)| from <= at && at < to;
        if at < clock.base
            || at < self.known_from
            || clock.paused_at.is_some_and(|from| from <= at)
            || self.finished.iter().any(is_paused)
        {
            return None;
        }
        let later = self.finished.iter().filter(|(from, _)| *from > at);
        let later: u64 = later.map(|(from, to)| to - from).sum();
        let paused = clock.paused_total.saturating_sub(later);
        let time = (at - clock.base).checked_sub(paused)?;
        clock
            .retires_at
            .is_none_or(|end| time < end)
            .then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: FeedClock = FeedClock {
        base: 1_000,
        paused_at: None,
        paused_total: 0,
        paused_by: None,
        retires_at: None,
    };

    fn after(steps: &[(Option<u64>, u64)]) -> (Pauses, FeedClock) {
        let (mut pauses, mut clock) = (Pauses::default(), OPEN);
        for &(paused_at, paused_total) in steps {
            let next = FeedClock {
                paused_at,
                paused_total,
                ..clock
            };
            pauses.step(&clock, &next);
            clock = next;
        }
        (pauses, clock)
    }

    #[test]
    fn the_clock_of_the_past() {
        let two = [(Some(1_100), 0), (None, 50), (Some(1_200), 50), (None, 60)];
        let running = [(Some(1_100), 0), (None, 50), (Some(1_200), 50)];
        let told_again = [(Some(1_100), 0), (Some(1_100), 0), (None, 50), (None, 50)];
        for (name, steps, rows) in [
            (
                "never paused",
                &[][..],
                &[(999, None), (1_000, Some(0)), (5_000, Some(4_000))][..],
            ),
            (
                "two pauses",
                &two,
                &[
                    (1_099, Some(99)),
                    (1_100, None),
                    (1_149, None),
                    (1_150, Some(100)),
                    (1_199, Some(149)),
                    (1_200, None),
                    (1_209, None),
                    (1_210, Some(150)),
                ],
            ),
            (
                "the ledger's words once more",
                &[&two[..], &two[..]].concat(),
                &[(1_149, None), (1_150, Some(100)), (1_210, Some(150))],
            ),
            (
                "one of them runs",
                &running,
                &[
                    (1_099, Some(99)),
                    (1_120, None),
                    (1_199, Some(149)),
                    (1_200, None),
                    (9_000, None),
                ],
            ),
            (
                "words of the ledger that come twice",
                &told_again,
                &[(1_099, Some(99)), (1_149, None), (1_150, Some(100))],
            ),
        ] {
            let (pauses, clock) = after(steps);
            for &(at, expected) in rows {
                assert_eq!(pauses.feed_time_at(&clock, at), expected, "{name} at {at}");
            }
        }
    }

    #[test]
    fn the_next_second_in_which_it_runs() {
        let two = [(Some(1_100), 0), (None, 50), (Some(1_150), 50), (None, 60)];
        let (pauses, clock) = after(&two);
        let (running, stands) = after(&two[..3]);
        for (at, once_over, while_paused) in [
            (1_099, Some(1_099), Some(1_099)),
            (1_100, Some(1_160), None),
            (1_149, Some(1_160), None),
            (1_159, Some(1_160), None),
            (1_160, Some(1_160), None),
            (1_200, Some(1_200), None),
        ] {
            assert_eq!(pauses.runs_from(&clock, at), once_over, "{at}");
            assert_eq!(running.runs_from(&stands, at), while_paused, "{at}");
        }
    }

    #[test]
    fn a_pause_is_remembered_once_it_is_over() {
        let told_again = [(Some(1_100), 0), (Some(1_100), 0)];
        let over = [(Some(1_100), 0), (None, 50)];
        for (steps, is_empty) in [(&[][..], true), (&told_again, true), (&over, false)] {
            let (pauses, _) = after(steps);
            assert_eq!(pauses.is_empty(), is_empty, "{steps:?}");
        }
    }

    #[test]
    fn nobody_has_paid_what_is_no_longer_known() {
        let steps: Vec<_> = (0..MAX_PAUSES as u64 + 2)
            .flat_map(|n| [(Some(2_000 + 10 * n), n), (None, n + 1)])
            .collect();
        let (pauses, clock) = after(&steps);
        assert_eq!(pauses.finished.len(), MAX_PAUSES);
        for (at, expected) in [
            (1_500, None),
            (2_009, None),
            (2_010, None),
            (2_011, Some(1_009)),
            (2_019, Some(1_017)),
            (2_020, None),
        ] {
            assert_eq!(pauses.feed_time_at(&clock, at), expected, "{at}");
        }
    }

    #[test]
    fn a_retired_clock_ends() {
        let (pauses, mut clock) = after(&[(Some(1_100), 0), (None, 50)]);
        clock.retires_at = Some(3_600);
        assert_eq!(pauses.feed_time_at(&clock, 4_649), Some(3_599));
        assert_eq!(pauses.feed_time_at(&clock, 4_650), None);
    }
}
