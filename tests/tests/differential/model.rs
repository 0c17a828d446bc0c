//! The ledger as a person would keep it with pen and paper: every subscription and every pause in a list, and each sum of
//! money added up anew over all of them whenever somebody asks. No bucket, no running total, no settling of hours.
//!
//! What is specified (times are feed time, `τ` is now, `p` a subscription's price in wei per second):
//!
//! - `τ` = seconds since the feed was opened − seconds of its pauses, and no more than `retiresAt` once it is retired.
//! - earned(τ) = Σ p·(min(τ, end) − start). A cancel sets `end = τ` and pays back p·(old end − τ).
//! - The ledger holds, to the wei, Σ over all feeds of earned(τ) − withdrawn + Σ p·(end − τ) over what is live, and what
//!   was forced upon it.
//! - Full hours are paid. With `S` the last full hour, `S = τ − τ mod 3600`, a withdrawal takes
//!   max(0, Σ p·(min(S, end) − start) + Σ p·(end − start) − withdrawn), where the second sum is over what was cancelled,
//!   which is known to the second, and the first over all the rest. A subscription that began in the running hour has
//!   a negative part in the first sum, and counts against the provider until `S` passes its start.
//! - A settlement limited to `m` hours in which a subscription ends stops just before the next such hour: `S` is then the
//!   beginning of that hour. An hour whose last subscription was cancelled is none of them.
//! - From this follows max(0, …) ≤ earned(τ) − withdrawn, which [`Model::check`] asserts beside the sum of all money.
//!
//! Where a call is wrong in several ways, the first of these is named: money sent to a function that takes none; an unknown
//! feed; the caller; the state of the feed; then the arguments as [`rules`] has them.

mod feed;
mod rules;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ashya_protocol::{Address, Domain, FeedId};

use crate::answer::{Outcome, Refusal};
use crate::call::Operation;

pub(crate) use feed::{Feed, MAX_RATE};
pub(crate) use rules::{MAX_AHEAD, MIN_DURATION};

/// All feeds and all accounts.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) domain: Domain,
    /// Unix second of the latest block.
    pub(crate) now: u64,
    pub(crate) feeds: BTreeMap<FeedId, Feed>,
    /// Wei in the wallet of everybody.
    pub(crate) wallets: BTreeMap<Address, u128>,
    /// A contract that refuses all money.
    refuser: Address,
    /// Wei that the ledger was given without being asked.
    forced: u128,
}

impl Model {
    pub(crate) fn new(
        domain: Domain,
        now: u64,
        wallets: BTreeMap<Address, u128>,
        refuser: Address,
        forced: u128,
    ) -> Self {
        Self {
            domain,
            now,
            feeds: BTreeMap::new(),
            wallets,
            refuser,
            forced,
        }
    }

    /// What the ledger is to answer, and the state after it. A refusal changes nothing but the time.
    pub(crate) fn answer(&self, operation: &Operation) -> (Self, Result<Outcome, Refusal>) {
        let mut before = self.clone();
        before.now = operation.at;
        let mut after = before.clone();
        match after.apply(operation) {
            Ok(outcome) => (after, Ok(outcome)),
            Err(refusal) => (before, Err(refusal)),
        }
    }

    /// Wei that the ledger holds: all that belongs to somebody.
    pub(crate) fn held(&self) -> u128 {
        let owed = self.feeds.values().map(|feed| {
            let time = feed.time(self.now);
            feed.earned(time) - feed.withdrawn + feed.unearned(time)
        });
        self.forced + owed.sum::<u128>()
    }

    /// Checks of the model itself what must hold in any state.
    ///
    /// # Errors
    /// When somebody could take what is not theirs.
    pub(crate) fn check(&self) -> Result<()> {
        for feed in self.feeds.values() {
            let earned = feed.earned(feed.time(self.now));
            ensure!(feed.withdrawn <= earned, "{} paid too much", feed.id);
            ensure!(
                self.takeable(feed) <= earned - feed.withdrawn,
                "{} offers too much",
                feed.id
            );
        }
        Ok(())
    }

    /// What `withdrawableOf` answers.
    pub(crate) fn takeable(&self, feed: &Feed) -> u128 {
        feed.takeable(feed.last_hour(self.now))
    }

    fn refuses_money(&self, who: Address) -> bool {
        who == self.refuser || who == self.domain.ledger
    }
}
