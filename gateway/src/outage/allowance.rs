use std::collections::HashMap;
use std::time::Duration;

use ashya_protocol::{FeedId, Wei};
use serde::{Deserialize, Serialize};
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
    /// Most wei for the pauses of a day and for their resumes.
    pub per_day: Wei,
    /// Most pauses of one feed in a day, so that one flapping device does not use up what is there for all.
    pub pauses_per_feed: u32,
}

/// What is left of the limits today.
///
/// A step sets aside the most that it may cost, and a pause as much again for its resume. What a step has cost takes the
/// place of what it set aside as soon as it is known.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: Limits,
    began: Instant,
    /// Wei that were paid today or are set aside.
    spent: u128,
    pauses: HashMap<FeedId, u32>,
    /// Feeds for whose resume something is set aside, and when the day began that it was taken from.
    resumes: HashMap<FeedId, Instant>,
}

/// What a restart keeps of an allowance, so that it begins no new day. What was set aside counts as spent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeptAllowance {
    /// Unix second (wall clock) at which the day began.
    began: u64,
    spent: u128,
    pauses: HashMap<FeedId, u32>,
}

/// What was set aside for a step under way.
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
    #[error("what a day may cost is spent, or set aside for what is paused")]
    Day,
}

impl Allowance {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            began: now,
            spent: 0,
            pauses: HashMap::new(),
            resumes: HashMap::new(),
        }
    }

    /// Goes on with the day of an earlier run, if it is not over at this Unix second.
    pub(super) fn go_on(limits: Limits, kept: KeptAllowance, now: Instant, unix: u64) -> Self {
        let allowance = Self::new(limits, now);
        let since = Duration::from_secs(unix.saturating_sub(kept.began));
        match now.checked_sub(since) {
            Some(began) if since < DAY => Self {
                began,
                spent: kept.spent,
                pauses: kept.pauses,
                ..allowance
            },
            _ => allowance,
        }
    }

    /// What the next run goes on with.
    pub(super) fn kept(&self, now: Instant, unix: u64) -> KeptAllowance {
        KeptAllowance {
            began: unix.saturating_sub(now.duration_since(self.began).as_secs()),
            spent: self.spent,
            pauses: self.pauses.clone(),
        }
    }

    /// Sets aside what a step may cost. A pause is begun only when its resume can be paid for too; a resume is never
    /// refused, since a feed must not stay shut for want of it, but it counts.
    pub(super) fn take(&mut self, feed: FeedId, step: Step, now: Instant) -> Result<Held, Spent> {
        if now.duration_since(self.began) >= DAY {
            self.began = now;
            self.spent = 0;
            self.pauses.clear();
        }
        let day = match step {
            Step::Pause => self.take_pause(feed)?,
            Step::Resume => self.take_resume(feed),
        };
        Ok(Held { feed, step, day })
    }

    fn take_pause(&mut self, feed: FeedId) -> Result<Instant, Spent> {
        self.release(feed);
        let spent = self.spent.saturating_add(self.most_of_a_pause());
        if spent > self.limits.per_day.get() {
            return Err(Spent::Day);
        }
        let pauses = self.pauses.entry(feed).or_default();
        if *pauses >= self.limits.pauses_per_feed {
            return Err(Spent::Feed);
        }
        *pauses += 1;
        self.spent = spent;
        Ok(self.began)
    }

    /// Takes what the pause has set aside or, after a pause of an earlier run or another try, as much of today's.
    fn take_resume(&mut self, feed: FeedId) -> Instant {
        self.resumes.remove(&feed).unwrap_or_else(|| {
            self.spent = self.spent.saturating_add(self.most());
            self.began
        })
    }

    /// Gives back what was set aside for a step that was never sent. For a resume it stays set aside: it is tried again.
    pub(super) fn give_back(&mut self, Held { feed, step, day }: Held) {
        if step == Step::Resume {
            self.resumes.insert(feed, day);
            return;
        }
        self.replace(day, self.most_of_a_pause(), 0);
        if day == self.began
            && let Some(pauses) = self.pauses.get_mut(&feed)
        {
            *pauses = pauses.saturating_sub(1);
        }
    }

    /// Puts the fee of a step in the place of what was set aside for it. Without one it may have cost all of that. What
    /// a pause has set aside for its resume stays.
    pub(super) fn settle(&mut self, Held { feed, step, day }: Held, fee: Option<Wei>) {
        if let Some(fee) = fee {
            self.replace(day, self.most(), fee.get());
        }
        if step == Step::Pause {
            self.resumes.insert(feed, day);
        }
    }

    /// Gives back what is set aside for the resumes of feeds that are not `paused`: somebody else lifted the pause.
    pub(super) fn keep_resumes(&mut self, paused: impl Fn(FeedId) -> bool) {
        let feeds = self.resumes.keys().copied();
        let lifted: Vec<_> = feeds.filter(|feed| !paused(*feed)).collect();
        for feed in lifted {
            self.release(feed);
        }
    }

    /// Wei that were paid today or are set aside.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u128 {
        self.spent
    }

    fn release(&mut self, feed: FeedId) {
        if let Some(day) = self.resumes.remove(&feed) {
            self.replace(day, self.most(), 0);
        }
    }

    /// Counts another sum in the place of what was taken. A new day does not owe what the last one lent.
    fn replace(&mut self, day: Instant, taken: u128, wei: u128) {
        if day == self.began {
            self.spent = self.spent.saturating_sub(taken).saturating_add(wei);
        }
    }

    /// The most that a pause costs with its resume.
    fn most_of_a_pause(&self) -> u128 {
        self.most().saturating_mul(2)
    }

    /// The most that a step costs.
    fn most(&self) -> u128 {
        self.limits.max_fee.get().saturating_mul(MOST_GAS)
    }
}

#[cfg(test)]
mod tests;
