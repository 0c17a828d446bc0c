use ashya_contracts::{FeedClock, LedgerEvent};
use ashya_protocol::{Address, DeviceId, FeedId, FeedName, Hash, Wei};
use serde::{Deserialize, Serialize};

use super::Pauses;
use crate::defaults::MAX_HISTORY;

/// Most ended purchases of a subscription that are remembered; who buys by the minute may lose sight of the oldest.
const MAX_PAST: usize = 32;

/// A feed as its events have it, and as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedRecord {
    pub(crate) device: DeviceId,
    pub(crate) name: FeedName,
    pub(crate) owner: Address,
    pub(crate) price: Wei,
    pub(crate) payout: Address,
    pub(crate) pauser: Address,
    pub(crate) listing: Hash,
    pub(crate) clock: FeedClock,
    #[serde(default, skip_serializing_if = "Pauses::is_empty")]
    pub(crate) pauses: Pauses,
}

impl FeedRecord {
    /// A feed of which only its opening is known; `FeedSet` of the same transaction brings the rest.
    pub(crate) fn opened(device: DeviceId, name: FeedName, owner: Address, base: u64) -> Self {
        Self {
            device,
            name,
            owner,
            price: Wei::default(),
            payout: owner,
            pauser: Address::ZERO,
            listing: Hash::ZERO,
            clock: FeedClock {
                base,
                paused_at: None,
                paused_total: 0,
                paused_by: None,
                retires_at: None,
            },
            pauses: Pauses::default(),
        }
    }

    /// What an event makes of the record before it; `None` for an event of a feed that was never opened.
    pub(crate) fn after(old: Option<&Self>, event: &LedgerEvent) -> Option<Self> {
        if let LedgerEvent::FeedOpened {
            device,
            name,
            owner,
            base,
            ..
        } = event
        {
            let opened = || Self::opened(*device, name.clone(), *owner, *base);
            return Some(old.cloned().unwrap_or_else(opened));
        }
        let mut record = old?.clone();
        match event {
            LedgerEvent::FeedSet {
                device,
                price,
                payout,
                pauser,
                listing,
                ..
            } => {
                record.device = *device;
                record.price = *price;
                record.payout = *payout;
                record.pauser = *pauser;
                record.listing = *listing;
            }
            // The event does not carry `base`, which never changes.
            LedgerEvent::FeedClock { clock, .. } => {
                let before = record.clock;
                record.clock.paused_at = clock.paused_at;
                record.clock.paused_total = clock.paused_total;
                record.clock.paused_by = clock.paused_by;
                record.clock.retires_at = clock.retires_at;
                record.pauses.step(&before, &record.clock);
            }
            LedgerEvent::FeedTransferred { to, .. } => record.owner = *to,
            LedgerEvent::FeedOpened { .. }
            | LedgerEvent::SubscriptionSet { .. }
            | LedgerEvent::Withdrawn { .. } => {}
        }
        Some(record)
    }
}

/// Whose subscription: the ledger keeps one for each payer and beneficiary of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SubscriptionKey {
    pub(crate) feed: FeedId,
    pub(crate) beneficiary: Address,
    pub(crate) payer: Address,
}

/// A subscription in feed time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRecord {
    pub(crate) price: Wei,
    pub(crate) start: u64,
    pub(crate) expiry: u64,
    /// Whether its end was moved back, which only a cancel does.
    pub(crate) cancelled: bool,
    /// Block of the last payment or cancel.
    pub(crate) block: u64,
    /// Earlier purchases whose time history may still hold, in order: half-open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) past: Vec<(u64, u64)>,
}

impl SubscriptionRecord {
    /// What a `SubscriptionSet` in a block makes of the record before it.
    pub(crate) fn after(
        old: Option<&Self>,
        block: u64,
        price: Wei,
        start: u64,
        expiry: u64,
    ) -> Self {
        let cancelled = old.is_some_and(|old| {
            old.start == start && (expiry < old.expiry || (expiry == old.expiry && old.cancelled))
        });
        Self {
            price,
            start,
            expiry,
            cancelled,
            block,
            past: old.map_or_else(Vec::new, |old| old.past_at(start)),
        }
    }

    /// Whether it gives the same rights as another, whichever blocks they come from.
    pub(super) fn is_worth(&self, other: &Self) -> bool {
        let other = Self {
            block: self.block,
            ..other.clone()
        };
        *self == other
    }

    /// Every half-open time that was paid, as far as it is remembered.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let past = self.past.iter().copied();
        past.chain([(self.start, self.expiry)])
    }

    /// The earlier purchases once another begins at `start`. Feed time is never faster than the clock on the wall, so
    /// what ended longer ago than history reaches is paid time of nothing that is kept.
    fn past_at(&self, start: u64) -> Vec<(u64, u64)> {
        if start == self.start {
            return self.past.clone();
        }
        let oldest = start.saturating_sub(MAX_HISTORY.as_secs());
        let windows = self.windows();
        // A replay of the ledger's words comes to the same end: nothing stays that begins later.
        let windows = windows.filter(|&(from, to)| from < to && from < start && to > oldest);
        let mut past: Vec<(u64, u64)> = Vec::new();
        for (from, to) in windows {
            match past.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => past.push((from, to)),
            }
        }
        past.drain(..past.len().saturating_sub(MAX_PAST));
        past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_purchase_remembers_the_ones_before_it() {
        const FAR: u64 = MAX_HISTORY.as_secs();
        type Steps = &'static [(u64, u64)];
        let rows: [(&str, Steps, Steps); 7] = [
            ("the first", &[(10, 70)], &[(10, 70)]),
            ("extended", &[(10, 70), (10, 130)], &[(10, 130)]),
            (
                "cancelled, then bought anew",
                &[(10, 70), (10, 40), (100, 160)],
                &[(10, 40), (100, 160)],
            ),
            (
                "without a pause between",
                &[(10, 70), (70, 130), (130, 190)],
                &[(10, 130), (130, 190)],
            ),
            (
                "cancelled at once",
                &[(10, 70), (10, 10), (20, 80)],
                &[(20, 80)],
            ),
            (
                "the ledger's words once more",
                &[(10, 70), (100, 160), (10, 70), (100, 160)],
                &[(10, 70), (100, 160)],
            ),
            (
                "longer ago than history reaches",
                &[(10, 70), (100, 160), (FAR + 70, FAR + 130)],
                &[(100, 160), (FAR + 70, FAR + 130)],
            ),
        ];
        for (name, steps, expected) in rows {
            let mut record: Option<SubscriptionRecord> = None;
            for &(start, expiry) in steps {
                let next =
                    SubscriptionRecord::after(record.as_ref(), 1, Wei::new(1), start, expiry);
                record = Some(next);
            }
            let windows: Vec<_> = record.unwrap().windows().collect();
            assert_eq!(windows, expected, "{name}");
        }
    }

    #[test]
    fn a_record_says_nothing_of_pauses_that_never_were() {
        let owner = Address::new([1; 20]);
        let name = "gate".parse().unwrap();
        let mut record = FeedRecord::opened(DeviceId::new([2; 20]), name, owner, 1_000);
        for paused_total in [0, 50] {
            let before = FeedClock {
                paused_at: Some(1_100),
                ..record.clock
            };
            record.clock.paused_total = paused_total;
            record.pauses.step(&before, &record.clock);
            let json = serde_json::to_value(&record).unwrap();
            assert_eq!(json.get("pauses").is_some(), paused_total > 0);
            assert_eq!(serde_json::from_value::<FeedRecord>(json).unwrap(), record);
        }
    }

    #[test]
    fn who_buys_by_the_minute_is_remembered_in_part() {
        let mut record = SubscriptionRecord::after(None, 1, Wei::new(1), 0, 60);
        for number in 1..100 {
            let start = number * 100;
            record = SubscriptionRecord::after(Some(&record), 1, Wei::new(1), start, start + 60);
        }
        assert_eq!(record.past.len(), MAX_PAST);
        assert_eq!(record.past.last(), Some(&(9_800, 9_860)));
    }
}
