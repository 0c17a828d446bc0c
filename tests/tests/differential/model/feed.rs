use ashya_protocol::{Address, FeedId, Hash};

use crate::answer::{Event, Refusal};
use crate::words::Word;

/// Seconds of an hour.
pub(super) const HOUR: u64 = 3_600;
/// The largest price, and the largest sum of prices, that the ledger can hold: `type(uint96).max`.
pub(crate) const MAX_RATE: u128 = (1 << 96) - 1;

/// One feed: every subscription and every pause that it ever had.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) id: FeedId,
    pub(crate) name: [u8; 32],
    pub(crate) device: Address,
    pub(crate) owner: Address,
    pub(crate) pending_owner: Address,
    pub(crate) price: u128,
    pub(crate) payout: Address,
    pub(crate) pauser: Address,
    pub(crate) listing: Hash,
    /// Unix second at which it was opened.
    pub(crate) base: u64,
    pub(crate) pauses: Vec<Pause>,
    /// Feed time at which the clock stops for good.
    pub(crate) retires_at: Option<u64>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Wei that all withdrawals took.
    pub(crate) withdrawn: u128,
    /// Feed time up to which somebody had it settled: full hours.
    pub(crate) settled: u64,
}

/// A time, in Unix seconds, in which a feed's clock stood still.
#[derive(Debug, Clone)]
pub(crate) struct Pause {
    pub(crate) from: u64,
    pub(crate) until: Option<u64>,
    pub(crate) by: Address,
}

/// What somebody bought, in feed time.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) payer: Address,
    pub(crate) beneficiary: Address,
    pub(crate) price: u128,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Whether it was ended by a cancel, at `end`.
    pub(crate) cancelled: bool,
}

impl Subscription {
    /// Wei that it has brought the provider at `time`: each of its seconds, once that is over.
    fn earned(&self, time: u64) -> u128 {
        self.price * u128::from(time.clamp(self.start, self.end) - self.start)
    }

    /// Wei that a cancel at `time` would pay back.
    fn unearned(&self, time: u64) -> u128 {
        self.price * u128::from(self.end.saturating_sub(time))
    }
}

impl Feed {
    /// Feed time: the seconds since it was opened, without those in a pause.
    pub(crate) fn time(&self, now: u64) -> u64 {
        let paused: u64 = self
            .pauses
            .iter()
            .map(|pause| pause.until.unwrap_or(now) - pause.from)
            .sum();
        let open = now - self.base - paused;
        self.retires_at.map_or(open, |end| open.min(end))
    }

    /// The pause that lasts.
    pub(crate) fn pause(&self) -> Option<&Pause> {
        self.pauses.last().filter(|pause| pause.until.is_none())
    }

    /// The latest subscription of this payer for this beneficiary.
    pub(crate) fn latest(&self, payer: Address, beneficiary: Address) -> Option<usize> {
        self.subscriptions
            .iter()
            .rposition(|s| s.payer == payer && s.beneficiary == beneficiary)
    }

    /// Wei that all subscriptions have brought at `time`.
    pub(crate) fn earned(&self, time: u64) -> u128 {
        self.subscriptions.iter().map(|s| s.earned(time)).sum()
    }

    /// Wei that the payers would get back at `time`.
    pub(crate) fn unearned(&self, time: u64) -> u128 {
        self.subscriptions.iter().map(|s| s.unearned(time)).sum()
    }

    /// Wei that a provider may take when the feed is settled up to `settled`, less what they took before.
    ///
    /// A subscription that was cancelled counts with all that it earned. Any other counts with what it earned up to the
    /// settled time, and *against* the provider when it only began after that: a second that it has not earned at the
    /// settled time must not be paid from somebody else's.
    pub(crate) fn takeable(&self, settled: u64) -> u128 {
        let sum: i128 = self
            .subscriptions
            .iter()
            .map(|s| {
                let until = if s.cancelled {
                    s.end
                } else {
                    s.end.min(settled)
                };
                signed(s.price) * (i128::from(until) - i128::from(s.start))
            })
            .sum();
        u128::try_from(sum - signed(self.withdrawn)).unwrap_or(0)
    }

    /// Feed time up to which settling can go: the last full hour.
    pub(crate) fn last_hour(&self, now: u64) -> u64 {
        self.time(now) / HOUR * HOUR
    }

    /// Feed time at which settling stops that may pass `max` hours in which a subscription ends.
    pub(crate) fn settles_to(&self, now: u64, max: u128) -> u64 {
        let last = self.last_hour(now);
        let mut hours: Vec<u64> = self
            .subscriptions
            .iter()
            .filter(|s| !s.cancelled)
            .map(|s| s.end.next_multiple_of(HOUR))
            .filter(|hour| (self.settled + 1..=last).contains(hour))
            .collect();
        hours.sort_unstable();
        hours.dedup();
        let first_left = usize::try_from(max).ok().and_then(|max| hours.get(max));
        first_left.map_or(last, |hour| hour - HOUR)
    }

    /// Checks that one more at `price` fits into what the ledger keeps in 96 bits: the wei per second of all that has
    /// not ended at the settled time.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn check_rate(&self, price: u128) -> Result<(), Refusal> {
        let rate: u128 = self.unsettled().map(|s| s.price).sum();
        if rate + price > MAX_RATE {
            return Err(Refusal::Overflow);
        }
        Ok(())
    }

    /// How many subscriptions have not ended at the settled time.
    pub(crate) fn in_buckets(&self) -> usize {
        self.unsettled().count()
    }

    /// What `feedOf` answers.
    pub(crate) fn terms(&self) -> Vec<Word> {
        vec![
            self.device.into(),
            self.name.into(),
            self.owner.into(),
            self.pending_owner.into(),
            self.price.into(),
            self.payout.into(),
            self.pauser.into(),
            self.listing.into(),
        ]
    }

    /// What `clockOf` answers.
    pub(crate) fn clock(&self, now: u64) -> Vec<Word> {
        let [paused_at, paused_total, paused_by, retires_at] = self.clock_set();
        vec![
            self.base.into(),
            paused_at,
            paused_total,
            paused_by,
            retires_at,
            self.time(now).into(),
        ]
    }

    /// What `subscriptionOf` answers.
    pub(crate) fn subscription(&self, payer: Address, beneficiary: Address) -> Vec<Word> {
        self.latest(payer, beneficiary).map_or_else(
            || vec![Word::ZERO; 3],
            |index| {
                let s = &self.subscriptions[index];
                vec![s.price.into(), s.start.into(), s.end.into()]
            },
        )
    }

    /// The event after a change of the terms.
    pub(crate) fn feed_set(&self) -> Event {
        Event {
            signature: "FeedSet(bytes32,address,uint96,address,address,bytes32)",
            indexed: vec![self.id.into()],
            data: vec![
                self.device.into(),
                self.price.into(),
                self.payout.into(),
                self.pauser.into(),
                self.listing.into(),
            ],
        }
    }

    /// The event after a change of the clock.
    pub(crate) fn feed_clock(&self) -> Event {
        Event {
            signature: "FeedClock(bytes32,uint64,uint64,address,uint64)",
            indexed: vec![self.id.into()],
            data: self.clock_set().to_vec(),
        }
    }

    /// The event after a change of a subscription.
    pub(crate) fn subscription_set(&self, index: usize) -> Event {
        let s = &self.subscriptions[index];
        Event {
            signature: "SubscriptionSet(bytes32,address,address,uint96,uint64,uint64)",
            indexed: vec![self.id.into(), s.beneficiary.into(), s.payer.into()],
            data: vec![s.price.into(), s.start.into(), s.end.into()],
        }
    }

    fn unsettled(&self) -> impl Iterator<Item = &Subscription> {
        let settled = self.settled;
        self.subscriptions
            .iter()
            .filter(move |s| !s.cancelled && s.end > settled)
    }

    fn clock_set(&self) -> [Word; 4] {
        let total: u64 = self
            .pauses
            .iter()
            .filter_map(|pause| Some(pause.until? - pause.from))
            .sum();
        let pause = self.pause();
        [
            pause.map_or(0, |pause| pause.from).into(),
            total.into(),
            pause.map_or(Address::ZERO, |pause| pause.by).into(),
            self.retires_at.unwrap_or(0).into(),
        ]
    }
}

/// All the money of a history is below 2^126 wei, see `Cast`.
fn signed(wei: u128) -> i128 {
    i128::try_from(wei).expect("a sum of money is below 2^127 wei")
}
