use std::collections::HashMap;
use std::time::Duration;

use ashya_protocol::{FeedId, Wei};
use tokio::time::Instant;

use super::decision::Step;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most gas of a pause or a resume, with room: the ledger's tests measure under 45,000.
const MOST_GAS: u128 = 80_000;

/// What outage credit may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most wei for a unit of gas, tip included.
    pub max_fee: Wei,
    /// Most wei for all transactions of a day.
    pub per_day: Wei,
    /// Most pauses of one feed in a day, so that one flapping device does not use up what is there for all.
    pub pauses_per_feed: u32,
}

/// What is left of the limits today.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: Limits,
    began: Instant,
    spent: Wei,
    pauses: HashMap<FeedId, u32>,
}

/// What was set aside for a step. It is given back where the step was never sent.
#[derive(Debug)]
pub(super) struct Held {
    feed: FeedId,
    step: Step,
    /// When the day began that it was taken from.
    day: Instant,
}

/// Why a step has to wait for tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Spent {
    #[error("this feed was paused as often as a day allows")]
    Feed,
    #[error("what a day may cost is spent")]
    Day,
}

impl Allowance {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            began: now,
            spent: Wei::default(),
            pauses: HashMap::new(),
        }
    }

    /// Sets aside what a step may cost. A pause is begun only when its resume can be paid for too; a resume is never
    /// refused, since a feed must not stay shut for want of it.
    pub(super) fn take(&mut self, feed: FeedId, step: Step, now: Instant) -> Result<Held, Spent> {
        if now.duration_since(self.began) >= DAY {
            *self = Self::new(self.limits, now);
        }
        let held = Held {
            feed,
            step,
            day: self.began,
        };
        if step == Step::Resume {
            return Ok(held);
        }
        let spent = self.spent.get().saturating_add(self.most_of_a_pair());
        if spent > self.limits.per_day.get() {
            return Err(Spent::Day);
        }
        let pauses = self.pauses.entry(feed).or_default();
        if *pauses >= self.limits.pauses_per_feed {
            return Err(Spent::Feed);
        }
        *pauses += 1;
        self.spent = Wei::new(spent);
        Ok(held)
    }

    /// Gives back what was set aside for a step that was never sent.
    pub(super) fn give_back(&mut self, Held { feed, step, day }: Held) {
        // A resume took nothing, and a new day does not owe what the last one lent.
        if step == Step::Resume || day != self.began {
            return;
        }
        let spent = self.spent.get().saturating_sub(self.most_of_a_pair());
        self.spent = Wei::new(spent);
        if let Some(pauses) = self.pauses.get_mut(&feed) {
            *pauses = pauses.saturating_sub(1);
        }
    }

    /// The most that a pause and its resume cost.
    fn most_of_a_pair(&self) -> u128 {
        self.limits.max_fee.get().saturating_mul(2 * MOST_GAS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_room_for_so_many_pauses_and_every_resume() {
        let start = Instant::now();
        let pair = 2 * MOST_GAS;
        let limits = Limits {
            max_fee: Wei::new(1),
            per_day: Wei::new(3 * pair),
            pauses_per_feed: 2,
        };
        let mut allowance = Allowance::new(limits, start);
        let (one, two) = (FeedId::new([1; 32]), FeedId::new([2; 32]));
        let day = DAY.as_secs();
        for (feed, step, second, expected) in [
            (one, Step::Pause, 0, Ok(())),
            (one, Step::Resume, 1, Ok(())),
            (one, Step::Pause, 2, Ok(())),
            (one, Step::Resume, 3, Ok(())),
            (one, Step::Pause, 4, Err(Spent::Feed)),
            (two, Step::Pause, 5, Ok(())),
            (two, Step::Pause, 6, Err(Spent::Day)),
            (two, Step::Resume, day - 1, Ok(())),
            (two, Step::Pause, day - 1, Err(Spent::Day)),
            (two, Step::Pause, day, Ok(())),
            (one, Step::Pause, day, Ok(())),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                allowance.take(feed, step, now).map(drop),
                expected,
                "{step:?} at {second}"
            );
        }
    }

    #[test]
    fn what_was_never_sent_uses_up_nothing() {
        let start = Instant::now();
        let limits = Limits {
            max_fee: Wei::new(1),
            per_day: Wei::new(2 * 2 * MOST_GAS),
            pauses_per_feed: 1,
        };
        let mut allowance = Allowance::new(limits, start);
        let (one, two, three) = (
            FeedId::new([1; 32]),
            FeedId::new([2; 32]),
            FeedId::new([3; 32]),
        );
        for _ in 0..9 {
            let held = allowance.take(one, Step::Pause, start).unwrap();
            allowance.give_back(held);
        }
        let sent = allowance.take(one, Step::Pause, start);
        assert!(sent.is_ok());
        // A resume took nothing, so it brings nothing.
        let resume = allowance.take(one, Step::Resume, start).unwrap();
        allowance.give_back(resume);
        let again = allowance.take(one, Step::Pause, start);
        assert_eq!(again.unwrap_err(), Spent::Feed);
        let yesterday = allowance.take(two, Step::Pause, start).unwrap();
        let more = allowance.take(three, Step::Pause, start);
        assert_eq!(more.unwrap_err(), Spent::Day);

        // The new day lent its own, whatever comes back of the old.
        let tomorrow = start + DAY;
        assert!(allowance.take(two, Step::Pause, tomorrow).is_ok());
        allowance.give_back(yesterday);
        let again = allowance.take(two, Step::Pause, tomorrow);
        assert_eq!(again.unwrap_err(), Spent::Feed);
        assert!(allowance.take(one, Step::Pause, tomorrow).is_ok());
        let more = allowance.take(three, Step::Pause, tomorrow);
        assert_eq!(more.unwrap_err(), Spent::Day);
    }
}
