use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

/// Time between two questions for what is stuck.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// What an earlier run has sent may take this long to be mined without a word in the log: five blocks of the main chain.
const GRACE: Duration = Duration::from_secs(60);
/// Time between two lines in the log.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Whether the wallet's next transaction would be mined.
///
/// One that is stuck holds up all that come after it. Meanwhile each of them would pass by the newest block, so that it
/// would be sent again and again, and in the end be mined and reverted as often. Once a transaction was not mined in
/// time nothing more is sent, until the node holds none of the wallet's that no block has.
#[derive(Debug)]
pub(super) struct Way {
    /// When to ask the node; never while the way is clear.
    ask_at: Option<Instant>,
    /// No line in the log before.
    tell_at: Instant,
}

impl Way {
    /// A way in which something of an earlier run may be stuck.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ask_at: Some(now),
            tell_at: now + GRACE,
        }
    }

    pub(super) fn is_clear(&self) -> bool {
        self.ask_at.is_none()
    }

    /// Whether it is time to ask the node what is stuck.
    pub(super) fn is_asked_at(&self, now: Instant) -> bool {
        self.ask_at.is_some_and(|at| at <= now)
    }

    /// Something was sent and not mined in time.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.ask_at.get_or_insert(now);
    }

    /// The node did not say.
    pub(super) fn ask_again(&mut self, now: Instant) {
        self.ask_at = Some(now + ASK_AGAIN);
    }

    /// Takes the numbers of the transactions that wait to be mined. Answers the first where the log is to tell of it.
    pub(super) fn found(&mut self, unmined: &Range<u64>, now: Instant) -> Option<u64> {
        if unmined.is_empty() {
            self.ask_at = None;
            return None;
        }
        self.ask_again(now);
        if now < self.tell_at {
            return None;
        }
        self.tell_at = now + TELL_AGAIN;
        Some(unmined.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_clear_once_nothing_waits_and_the_log_is_told_once_in_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut way = Way::new(start);
        for (second, unmined, told) in [
            (0, 7..9, None),
            (45, 7..9, None),
            (60, 7..9, Some(7)),
            (600, 8..9, None),
            (660, 8..9, Some(8)),
        ] {
            assert!(way.is_asked_at(at(second)) && !way.is_clear(), "{second}");
            assert_eq!(way.found(&unmined, at(second)), told, "{second}");
            assert!(!way.is_asked_at(at(second + 14)), "{second}");
        }
        assert_eq!(way.found(&(9..9), at(675)), None);
        assert!(way.is_clear() && !way.is_asked_at(at(9_999)));

        way.doubt(at(10_000));
        assert!(way.is_asked_at(at(10_000)) && !way.is_clear());
        way.ask_again(at(10_000));
        // It is no reason to ask sooner.
        way.doubt(at(10_001));
        assert!(!way.is_asked_at(at(10_014)) && way.is_asked_at(at(10_015)));
    }
}
