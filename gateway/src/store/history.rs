//! Accepted events on disk, for whoever comes back later than the memory reaches.
//!
//! ```text
//!  history           device stream boot seq ──► when it came, which feeds sold it, the device's own bytes
//!  history-slices    ten minutes device stream ──► bytes, last position: what is pruned at once
//!  history-pruned    device stream boot ──► the last number that is no longer kept
//! ```
//!
//! Numbers are big-endian, so that what came after a position is one range.

mod keys;
mod record;
mod sizes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ashya_protocol::{Boot, Position, Seq};
use parking_lot::Mutex;
use sled::transaction::{ConflictableTransactionError, TransactionError};
use sled::{IVec, Transactional};

use super::{Store, StoreError};
use crate::retention::Prune;
use crate::stream::StreamKey;

use record::Slice;
pub(crate) use record::{NewEvent, Record};
use sizes::Sizes;

/// Seconds of a slice: events are pruned so much later than they might be.
const SLICE_SECONDS: u64 = 600;
/// Most slices of a stream: those of a week, and some.
const MAX_SLICES: usize = 1_024;
/// Most events that are pruned in one go: writers wait for it.
const PRUNE_BATCH: usize = 256;
/// Most starts of a device whose last pruned event is remembered.
const MAX_BOOTS: usize = 16;

/// The trees of history. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HistoryTrees {
    events: sled::Tree,
    slices: sled::Tree,
    pruned: sled::Tree,
    /// Held while anything is written, since a slice is read before.
    sizes: Arc<Mutex<Sizes>>,
}

impl HistoryTrees {
    pub(super) fn open(db: &sled::Db) -> Result<Self, StoreError> {
        let slices = db.open_tree("history-slices")?;
        let mut sizes = Sizes::default();
        for item in &slices {
            let (key, value) = item?;
            if let Some((_, stream)) = keys::slice_parts(&key) {
                let bytes = Slice::parse(&value).map_or(0, |slice| slice.bytes);
                sizes.add(stream, bytes);
            }
        }
        Ok(Self {
            events: db.open_tree("history")?,
            pruned: db.open_tree("history-pruned")?,
            sizes: Arc::new(Mutex::new(sizes)),
            slices,
        })
    }

    /// Bytes of all that is kept, without what the disk takes around it.
    pub(crate) fn bytes(&self) -> u64 {
        self.sizes.lock().total()
    }

    /// What is kept of a stream after a position, in order.
    pub(crate) fn after(
        &self,
        key: &StreamKey,
        position: Position,
    ) -> impl Iterator<Item = Result<(Position, Record), StoreError>> + use<> {
        let stream = keys::stream(key);
        let first = keys::event(&stream, position);
        let last = keys::last_event(&stream);
        let range = (
            std::ops::Bound::Excluded(first),
            std::ops::Bound::Included(last),
        );
        self.events.range(range).map(|item| {
            let (key, value) = item?;
            let position = keys::position(&key).ok_or(StoreError::Key)?;
            Ok((position, Record::new(value)))
        })
    }

    /// A position up to which everything of a stream was accepted before a Unix second, if much was.
    pub(crate) fn reached_before(
        &self,
        key: &StreamKey,
        second: u64,
    ) -> Result<Option<Position>, StoreError> {
        let stream = keys::stream(key);
        // One slice further back: the clock may have stepped back between two.
        let end = (second / SLICE_SECONDS).saturating_sub(1);
        for number in (0..end).rev().take(MAX_SLICES) {
            if let Some(value) = self.slices.get(keys::slice(number, &stream))? {
                return Ok(Slice::parse(&value).map(|slice| slice.last));
            }
        }
        Ok(None)
    }

    /// The last pruned number of each start of a stream's device, from one start on.
    pub(crate) fn pruned(
        &self,
        key: &StreamKey,
        from: Boot,
    ) -> Result<Vec<(Boot, Seq)>, StoreError> {
        let stream = keys::stream(key);
        let range = keys::boot(&stream, from)..=keys::last_boot(&stream);
        let marks = self.pruned.range(range).map(|item| {
            let (key, value) = item?;
            keys::mark(&key, &value).ok_or(StoreError::Key)
        });
        marks.collect()
    }

    /// Takes the oldest events away, some of them: those that came before the Unix second `cutoff`, or as long as there
    /// are more than `max_bytes` those of whoever takes the most: a device that fills the disk shortens its own history.
    /// Gives back how many, and why; nothing when all may stay.
    pub(crate) fn prune(
        &self,
        cutoff: u64,
        max_bytes: u64,
    ) -> Result<Option<(Prune, u64)>, StoreError> {
        let mut sizes = self.sizes.lock();
        let Some(oldest) = self.slices.first()? else {
            return Ok(None);
        };
        let is_too_old = keys::slice_parts(&oldest.0)
            .is_some_and(|(number, _)| (number + 1).saturating_mul(SLICE_SECONDS) <= cutoff);
        let excess = sizes.total().saturating_sub(max_bytes);
        let (reason, excess, (slice_key, value)) = match excess {
            _ if is_too_old => (Prune::Age, u64::MAX, oldest),
            0 => return Ok(None),
            _ => (
                Prune::Size,
                excess,
                self.oldest_of_largest(&sizes)?.unwrap_or(oldest),
            ),
        };
        let parsed = keys::slice_parts(&slice_key).zip(Slice::parse(&value));
        let Some(((_, stream), slice)) = parsed else {
            tracing::warn!("a slice of history cannot be read: it is dropped");
            self.slices.remove(slice_key)?;
            return Ok(Some((Prune::Age, 0)));
        };
        let (mut events, mut marks) = (sled::Batch::default(), BTreeMap::new());
        let (mut count, mut freed) = (0, 0);
        let range = stream.to_vec()..=keys::event(stream, slice.last);
        for item in self.events.range(range).take(PRUNE_BATCH) {
            let (key, value) = item?;
            if freed >= excess {
                break;
            }
            if let Some(position) = keys::position(&key) {
                marks.insert(position.boot, position.seq);
            }
            freed += record::weight(&key, &value);
            count += 1;
            events.remove(key);
        }
        let mut slices = sled::Batch::default();
        let mut left = slice.bytes.saturating_sub(freed);
        if left == 0 || (count < PRUNE_BATCH && freed < excess) {
            left = 0;
            slices.remove(&slice_key);
        } else {
            let rest = Slice {
                bytes: left,
                ..slice
            };
            slices.insert(&slice_key, rest.to_bytes().as_slice());
        }
        let pruned = self.mark(stream, marks)?;
        let trees = (&self.events, &self.slices, &self.pruned);
        let done = trees.transaction(|(in_events, in_slices, in_pruned)| {
            in_events.apply_batch(&events)?;
            in_slices.apply_batch(&slices)?;
            in_pruned.apply_batch(&pruned)?;
            Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
        });
        done.map_err(failed)?;
        sizes.take(stream, slice.bytes - left);
        Ok(Some((reason, count as u64)))
    }

    /// The oldest slice of the stream that takes the most.
    fn oldest_of_largest(&self, sizes: &Sizes) -> Result<Option<(IVec, IVec)>, StoreError> {
        let Some(stream) = sizes.largest() else {
            return Ok(None);
        };
        if let Some((_, first)) = self.events.scan_prefix(stream).next().transpose()?
            && let Some(parts) = Record::new(first).parts()
        {
            let key = keys::slice(parts.at / SLICE_SECONDS, stream);
            if let Some(slice) = self.slices.get(&key)? {
                return Ok(Some((key.into(), slice)));
            }
        }
        // A clock that has stepped back leaves slices whose events have gone with others.
        let is_of_stream = |key: &IVec| {
            let parts = keys::slice_parts(key);
            parts.is_some_and(|(_, of)| of == stream)
        };
        let mut slices = self.slices.iter();
        let slice = slices.find(|item| item.as_ref().map_or(true, |(key, _)| is_of_stream(key)));
        Ok(slice.transpose()?)
    }

    /// Remembers what is pruned, of the last few starts of a device.
    fn mark(&self, stream: &[u8], marks: BTreeMap<Boot, Seq>) -> Result<sled::Batch, StoreError> {
        let mut batch = sled::Batch::default();
        let mut boots = BTreeMap::new();
        for key in self.pruned.scan_prefix(stream).keys() {
            boots.insert(key?, ());
        }
        for (boot, seq) in marks {
            let key = keys::boot(stream, boot);
            boots.insert(key.as_slice().into(), ());
            batch.insert(key, &seq.get().to_be_bytes());
        }
        for key in boots.keys().take(boots.len().saturating_sub(MAX_BOOTS)) {
            batch.remove(key);
        }
        Ok(batch)
    }
}

impl Store {
    /// Keeps positions and accepted events, all of them or none, and forgets where there is no position any more; they
    /// are on the disk after the next [`Store::flush`].
    pub(crate) fn keep_accepted<'a>(
        &self,
        positions: impl IntoIterator<Item = (Vec<u8>, Option<Position>)>,
        events: impl IntoIterator<Item = &'a NewEvent>,
    ) -> Result<(), StoreError> {
        let mut in_positions = sled::Batch::default();
        for (key, position) in positions {
            match position {
                Some(position) => in_positions.insert(key, serde_json::to_vec(&position)?),
                None => in_positions.remove(key),
            }
        }
        let history = &self.history;
        let mut sizes = history.sizes.lock();
        let mut in_events = sled::Batch::default();
        let mut slices = BTreeMap::new();
        let mut added = Vec::new();
        for event in events {
            let stream = keys::stream(&event.key);
            let key = keys::event(&stream, event.position);
            let value = record::to_bytes(event);
            let slice = match slices.entry(keys::slice(event.at / SLICE_SECONDS, &stream)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let kept = history.slices.get(new.key())?;
                    let kept = kept.and_then(|value| Slice::parse(&value));
                    new.insert(kept.unwrap_or(Slice {
                        bytes: 0,
                        last: event.position,
                    }))
                }
            };
            let weight = record::weight(&key, &value);
            slice.bytes += weight;
            slice.last = slice.last.max(event.position);
            added.push((stream, weight));
            in_events.insert(key, value);
        }
        if added.is_empty() {
            return Ok(self.positions.0.apply_batch(in_positions)?);
        }
        let mut in_slices = sled::Batch::default();
        for (key, slice) in slices {
            in_slices.insert(key, slice.to_bytes().as_slice());
        }
        let trees = (&self.positions.0, &history.events, &history.slices);
        let done = trees.transaction(|(positions, events, slices)| {
            positions.apply_batch(&in_positions)?;
            events.apply_batch(&in_events)?;
            slices.apply_batch(&in_slices)?;
            Ok::<_, ConflictableTransactionError<std::convert::Infallible>>(())
        });
        done.map_err(failed)?;
        for (stream, bytes) in added {
            sizes.add(&stream, bytes);
        }
        Ok(())
    }
}

fn failed(error: TransactionError<std::convert::Infallible>) -> StoreError {
    match error {
        TransactionError::Storage(error) => StoreError::Io(error),
        TransactionError::Abort(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
