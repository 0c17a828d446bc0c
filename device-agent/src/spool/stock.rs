//! How much the spool holds, without looking.

use std::collections::BTreeMap;

use ashya_protocol::StreamName;

use super::record::Record;
use super::{Held, Place, SpoolError};

/// Seconds between two looks for what is too old.
const AGE_CHECK_SECONDS: u64 = 60;

/// Events and bytes of each stream.
#[derive(Debug, Default)]
pub(super) struct Stock {
    streams: BTreeMap<StreamName, Held>,
    total: Held,
    /// When the newest event was kept, as far as the disk knew.
    newest: u64,
    checked_at: Option<u64>,
}

impl Stock {
    /// Counts what is on the disk.
    pub(super) fn count(tree: &sled::Tree) -> Result<Self, SpoolError> {
        let mut stock = Self::default();
        for item in tree {
            let (key, value) = item?;
            let place = Place::from_key(&key).ok_or(SpoolError::Record)?;
            let record = Record::read(&value)?;
            stock.newest = stock.newest.max(record.at);
            stock.add(&place.stream, record.size(&key));
        }
        Ok(stock)
    }

    pub(super) fn add(&mut self, stream: &StreamName, bytes: u64) {
        let held = self.streams.entry(stream.clone()).or_default();
        for held in [held, &mut self.total] {
            held.events += 1;
            held.bytes += bytes;
        }
    }

    pub(super) fn take(&mut self, stream: &StreamName, bytes: u64) {
        let Some(held) = self.streams.get_mut(stream) else {
            return;
        };
        for held in [&mut *held, &mut self.total] {
            held.events = held.events.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(bytes);
        }
        if held.events == 0 {
            self.streams.remove(stream);
        }
    }

    pub(super) const fn held(&self) -> Held {
        self.total
    }

    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// Whether it is time to look for what is too old.
    pub(super) fn is_age_check_due(&mut self, now: u64) -> bool {
        let due = self
            .checked_at
            .is_none_or(|checked| now >= checked + AGE_CHECK_SECONDS);
        if due {
            self.checked_at = Some(now);
        }
        due
    }
}
