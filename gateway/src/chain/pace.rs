use std::time::Duration;

use ashya_protocol::rest::Head;

use crate::defaults::{FASTEST_POLL, LOCAL_POLL, PEEK, PUBLIC_POLL};

/// Looks in the time of a block: the mean wait for a new head is half of the time between two.
const LOOKS_PER_BLOCK: u32 = 4;

/// How often nodes are asked for their heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    longest: Duration,
    shortest: Duration,
    /// Time between two questions for the height alone, of nodes that are near.
    peek: Option<Duration>,
}

impl Pace {
    /// Exactly so often, whoever the node is.
    pub(crate) const fn every(time: Duration) -> Self {
        Self {
            longest: time,
            shortest: time,
            peek: None,
        }
    }

    /// As often as the blocks of a public chain come; a node of the same machine is asked for its height between.
    pub(crate) const fn public() -> Self {
        Self {
            longest: PUBLIC_POLL,
            shortest: FASTEST_POLL,
            peek: Some(PEEK),
        }
    }

    /// For a chain of one's own.
    pub(crate) const fn local() -> Self {
        Self {
            longest: LOCAL_POLL,
            shortest: LOCAL_POLL,
            peek: Some(PEEK),
        }
    }

    /// Time to the next look, where a block takes so long.
    pub(super) fn wait(&self, block_time: Option<Duration>) -> Duration {
        let wanted = block_time.map_or(self.longest, |time| time / LOOKS_PER_BLOCK);
        wanted.clamp(self.shortest, self.longest)
    }

    /// Time between two questions for the height of a node that is near; nothing for one that is not.
    pub(super) fn peek(&self, is_near: bool) -> Option<Duration> {
        self.peek.filter(|_| is_near)
    }
}

/// How long a block takes, from the heads that were seen.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    newest: Option<Head>,
    block_time: Option<Duration>,
}

impl Tempo {
    pub(super) fn saw(&mut self, head: Head) {
        if let Some(before) = self.newest.replace(head)
            && let Some(blocks) = head
                .number
                .checked_sub(before.number)
                .filter(|count| *count > 0)
        {
            let seconds = head.timestamp.saturating_sub(before.timestamp);
            self.block_time = Some(Duration::from_secs_f64(seconds as f64 / blocks as f64));
        }
    }

    pub(super) const fn block_time(&self) -> Option<Duration> {
        self.block_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_chains_are_looked_at_more_often() {
        let millis = Duration::from_millis;
        for (name, block_time, wait) in [
            ("nothing known", None, 2_000),
            ("Ethereum", Some(12_000), 2_000),
            ("four seconds", Some(4_000), 1_000),
            ("Base", Some(2_000), 500),
            ("Arbitrum", Some(250), 250),
            ("many in a second", Some(0), 250),
        ] {
            let found = Pace::public().wait(block_time.map(millis));
            assert_eq!(found, millis(wait), "{name}");
        }
        let second = Duration::from_secs(1);
        for block_time in [None, Some(Duration::ZERO), Some(12 * second)] {
            assert_eq!(Pace::every(second).wait(block_time), second);
            assert_eq!(Pace::local().wait(block_time), LOCAL_POLL);
        }
    }

    #[test]
    fn only_a_near_node_is_asked_between_two_looks_and_none_where_the_owner_says_how_often() {
        assert_eq!(Pace::public().peek(true), Some(PEEK));
        assert_eq!(Pace::public().peek(false), None);
        assert_eq!(Pace::every(PEEK).peek(true), None);
    }

    #[test]
    fn the_tempo_is_that_of_the_last_two_heads() {
        let mut tempo = Tempo::default();
        for (number, timestamp, expected) in [
            (10, 100, None),
            (11, 112, Some(12_000)),
            // The same head again, and one of a node that is behind, say nothing.
            (11, 112, Some(12_000)),
            (9, 88, Some(12_000)),
            (13, 96, Some(2_000)),
            (17, 97, Some(250)),
            // A reorganised chain's clock may go back.
            (18, 90, Some(0)),
        ] {
            tempo.saw(Head { number, timestamp });
            assert_eq!(tempo.block_time(), expected.map(Duration::from_millis));
        }
    }
}
