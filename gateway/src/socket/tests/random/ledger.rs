//! The ledger's words, and what follows from them.

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::Wei;

use crate::socket::tests::world::{ALICE, FEED, OWNER, START};

#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    /// The feed's clock is stopped, or runs on.
    Turn,
    /// From when to when the wallet has paid, in feed time.
    Paid(u64, u64),
}

/// What follows from some words, each with its second.
#[derive(Default)]
pub(super) struct Known {
    /// Half-open, in seconds; the last may not have ended.
    pauses: Vec<(u64, u64)>,
    /// Half-open, in feed time.
    pub(super) windows: Vec<(u64, u64)>,
}

impl Known {
    pub(super) fn of(words: &[(u64, Word)]) -> Self {
        let mut known = Self::default();
        for &(second, word) in words {
            match word {
                Word::Turn if known.is_paused() => known.pauses.last_mut().unwrap().1 = second,
                Word::Turn => known.pauses.push((second, u64::MAX)),
                Word::Paid(start, expiry) => {
                    known.windows.retain(|(from, _)| *from != start);
                    known.windows.push((start, expiry));
                }
            }
        }
        known
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|(_, to)| *to == u64::MAX)
    }

    pub(super) fn feed_time(&self, second: u64) -> u64 {
        let pauses = self.pauses.iter();
        let paused = pauses.map(|&(from, to)| to.min(second).saturating_sub(from));
        second - paused.sum::<u64>()
    }

    fn covers(&self, time: u64) -> bool {
        let mut windows = self.windows.iter();
        windows.any(|&(start, expiry)| (start..expiry).contains(&time))
    }

    /// Whether the wallet has access, if only to wait for the end of a pause.
    pub(super) fn is_open(&self, now: u64) -> bool {
        self.covers(self.feed_time(now))
    }

    pub(super) fn paid(&self, second: u64) -> bool {
        let mut pauses = self.pauses.iter();
        !pauses.any(|&(from, to)| (from..to).contains(&second)) && self.is_open(second)
    }
}

/// What the ledger tells with the last of some words.
pub(super) fn event_of(words: &[(u64, Word)]) -> LedgerEvent {
    let feed = FEED;
    let Known { mut pauses, .. } = Known::of(words);
    if let Some(&(_, Word::Paid(start, expiry))) = words.last() {
        return LedgerEvent::SubscriptionSet {
            feed,
            beneficiary: ALICE,
            payer: ALICE,
            price: Wei::new(5),
            start,
            expiry,
        };
    }
    let running = pauses.pop_if(|(_, to)| *to == u64::MAX);
    let clock = ClockChange {
        paused_at: running.map(|(from, _)| START + from),
        paused_total: pauses.iter().map(|(from, to)| to - from).sum(),
        paused_by: running.map(|_| OWNER),
        retires_at: None,
    };
    LedgerEvent::FeedClock { feed, clock }
}
