use std::collections::{BTreeMap, BTreeSet};

use ashya_protocol::{Address, FeedId, Wei};

use super::interner::Interner;
use super::{SubscriptionKey, SubscriptionRecord};

/// Every subscription there ever was, about 100 bytes each.
///
/// Feeds and wallets are numbers of four bytes here, and one tree serves both who asks for a wallet's subscriptions and
/// who asks for those of one feed.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    feeds: Interner<FeedId>,
    wallets: Interner<Address>,
    records: BTreeMap<Place, Compact>,
    /// Earlier purchases, of the few that have some.
    past: BTreeMap<Place, Box<[(u64, u64)]>>,
    /// Gifts, by who paid: `(payer, beneficiary, feed)`. What somebody paid for themselves is found as theirs.
    gifts: BTreeSet<(u32, u32, u32)>,
    /// By the numbers of the feeds.
    last_expiries: Vec<LastExpiry>,
}

/// When the last subscription of a feed ends, in feed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastExpiry {
    /// Then.
    At(u64),
    /// Not after that, and maybe before: what ended then was cut short or undone.
    Until(u64),
}

/// Ordered by beneficiary, then feed, so that what one wallet holds of one feed is one short range.
///
/// Wallets get their numbers in the order in which they appear. Mirrored bit by bit they are spread over the tree,
/// which stays two thirds full; in rising order it would be half empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    mirrored_beneficiary: u32,
    feed: u32,
    payer: u32,
}

/// A [`SubscriptionRecord`] in 40 bytes; prices have 96 bits on the ledger.
#[derive(Debug, Clone, Copy)]
struct Compact {
    start: u64,
    expiry: u64,
    block: u64,
    price_low: u64,
    price_high: u32,
    cancelled: bool,
}

impl Subscriptions {
    pub(super) fn get(&self, key: &SubscriptionKey) -> Option<SubscriptionRecord> {
        let place = self.place_of(key)?;
        let compact = self.records.get(&place)?;
        Some(self.record(&place, compact))
    }

    /// Puts a record in place of the one before it, or takes it away.
    pub(super) fn set(&mut self, key: &SubscriptionKey, record: Option<SubscriptionRecord>) {
        let beneficiary = self.wallets.number(key.beneficiary);
        let payer = self.wallets.number(key.payer);
        let feed = self.feeds.number(key.feed);
        let place = Place {
            mirrored_beneficiary: beneficiary.reverse_bits(),
            feed,
            payer,
        };
        let gift = (payer, beneficiary, feed);
        let expiry = record.as_ref().map(|record| record.expiry);
        let before = match record {
            Some(record) => {
                let before = self.records.insert(place, Compact::of(&record));
                if record.past.is_empty() {
                    self.past.remove(&place);
                } else {
                    self.past.insert(place, record.past.into());
                }
                if payer != beneficiary {
                    self.gifts.insert(gift);
                }
                before
            }
            None => {
                self.past.remove(&place);
                self.gifts.remove(&gift);
                self.records.remove(&place)
            }
        };
        self.note_expiry(feed, before.map(|before| before.expiry), expiry);
    }

    /// What one wallet holds of one feed, whoever paid for it.
    pub(super) fn of(
        &self,
        feed: FeedId,
        beneficiary: Address,
    ) -> impl Iterator<Item = SubscriptionRecord> {
        let numbers = self.feeds.number_of(&feed);
        let numbers = numbers.zip(self.wallets.number_of(&beneficiary));
        let found = numbers.into_iter().flat_map(|(feed, beneficiary)| {
            let at = |payer| Place {
                mirrored_beneficiary: beneficiary.reverse_bits(),
                feed,
                payer,
            };
            self.records.range(at(0)..=at(u32::MAX))
        });
        found.map(|(place, compact)| self.record(place, compact))
    }

    /// When the last subscription of one feed ends, whoever holds it.
    pub(super) fn last_expiry(&self, feed: FeedId) -> LastExpiry {
        let number = self.feeds.number_of(&feed);
        let last = number.and_then(|number| self.last_expiries.get(number as usize));
        last.copied().unwrap_or(LastExpiry::At(0))
    }

    /// Finds out when the last subscription of every feed ends. Looks at all subscriptions, for the sake of those feeds
    /// of which it is not known.
    pub(super) fn find_last_expiries(&mut self) {
        let mut expiries = vec![0; self.last_expiries.len()];
        for (place, compact) in &self.records {
            let last = &mut expiries[place.feed as usize];
            *last = compact.expiry.max(*last);
        }
        self.last_expiries = expiries.into_iter().map(LastExpiry::At).collect();
    }

    /// What a wallet paid for or may use, in the order of the keys.
    pub(super) fn of_wallet(&self, wallet: Address) -> Vec<(SubscriptionKey, SubscriptionRecord)> {
        let Some(number) = self.wallets.number_of(&wallet) else {
            return Vec::new();
        };
        let at = |feed, payer| Place {
            mirrored_beneficiary: number.reverse_bits(),
            feed,
            payer,
        };
        let own = self.records.range(at(0, 0)..=at(u32::MAX, u32::MAX));
        let gifts = self
            .gifts
            .range((number, 0, 0)..=(number, u32::MAX, u32::MAX));
        let gifts = gifts.filter_map(|&(payer, beneficiary, feed)| {
            let place = Place {
                mirrored_beneficiary: beneficiary.reverse_bits(),
                feed,
                payer,
            };
            self.records.get_key_value(&place)
        });
        let mut found: Vec<_> = own
            .chain(gifts)
            .map(|(place, compact)| (self.key_of(*place), self.record(place, compact)))
            .collect();
        found.sort_unstable_by_key(|(key, _)| *key);
        found
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<SubscriptionKey, SubscriptionRecord> {
        let records = self.records.iter();
        records
            .map(|(place, compact)| (self.key_of(*place), self.record(place, compact)))
            .collect()
    }

    /// Keeps the last expiry of a feed right when that of one of its subscriptions changes.
    fn note_expiry(&mut self, feed: u32, before: Option<u64>, after: Option<u64>) {
        let feed = feed as usize;
        if self.last_expiries.len() <= feed {
            self.last_expiries.resize(feed + 1, LastExpiry::At(0));
        }
        let last = &mut self.last_expiries[feed];
        let (LastExpiry::At(expiry) | LastExpiry::Until(expiry)) = *last;
        if let Some(after) = after.filter(|after| *after >= expiry) {
            *last = LastExpiry::At(after);
        } else if before == Some(expiry) {
            *last = LastExpiry::Until(expiry);
        }
    }

    fn record(&self, place: &Place, compact: &Compact) -> SubscriptionRecord {
        let past = self.past.get(place);
        let mut record = compact.record();
        record.past = past.map_or_else(Vec::new, |past| past.to_vec());
        record
    }

    fn place_of(&self, key: &SubscriptionKey) -> Option<Place> {
        Some(Place {
            mirrored_beneficiary: self.wallets.number_of(&key.beneficiary)?.reverse_bits(),
            feed: self.feeds.number_of(&key.feed)?,
            payer: self.wallets.number_of(&key.payer)?,
        })
    }

    fn key_of(&self, place: Place) -> SubscriptionKey {
        let beneficiary = place.mirrored_beneficiary.reverse_bits();
        SubscriptionKey {
            feed: self.feeds.value(place.feed),
            beneficiary: self.wallets.value(beneficiary),
            payer: self.wallets.value(place.payer),
        }
    }
}

impl Compact {
    fn of(record: &SubscriptionRecord) -> Self {
        let price = record.price.get();
        Self {
            start: record.start,
            expiry: record.expiry,
            block: record.block,
            price_low: price as u64,
            price_high: (price >> 64) as u32,
            cancelled: record.cancelled,
        }
    }

    fn record(&self) -> SubscriptionRecord {
        let price = u128::from(self.price_high) << 64 | u128::from(self.price_low);
        SubscriptionRecord {
            price: Wei::new(price),
            start: self.start,
            expiry: self.expiry,
            cancelled: self.cancelled,
            block: self.block,
            past: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
