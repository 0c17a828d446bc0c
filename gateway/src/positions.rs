//! The last accepted event of each stream: what makes a replay and a loss visible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ashya_protocol::{DeviceId, Position, Seq, StreamName};
use parking_lot::Mutex;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::defaults::POSITIONS_WRITE_INTERVAL;
use crate::store::{Store, StoreError};

/// Numbers of one boot that never came, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// First missing number.
    pub from: Seq,
    /// Last missing number.
    pub to: Seq,
}

/// An event that is not after the last one accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not after boot {} seq {}", last.boot, last.seq)]
pub struct Replayed {
    /// The last accepted position.
    pub last: Position,
}

/// The last accepted [`Position`] of each (device, stream). Cheap to clone.
///
/// Written to the store by [`Self::write_behind`]: a kill forgets what was accepted in the last fraction of a
/// second, and then an event of that moment may be accepted twice, but none is lost.
#[derive(Debug, Clone)]
pub struct Positions {
    store: Store,
    state: Arc<Mutex<State>>,
}

type Key = (DeviceId, StreamName);

#[derive(Debug, Default)]
struct State {
    last: HashMap<Key, Position>,
    dirty: BTreeMap<Key, Position>,
}

impl Positions {
    /// Reads the positions of a store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let records = store.positions.load::<Position>()?.into_iter();
        let last = records
            .map(|(key, position)| Ok((parse_key(&key).ok_or(StoreError::Key)?, position)))
            .collect::<Result<_, StoreError>>()?;
        let state = State {
            last,
            dirty: BTreeMap::new(),
        };
        Ok(Self {
            store,
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// Accepts an event that is after the last one of its stream, and says what is missing between them; of two
    /// callers with the same position only one is told yes.
    ///
    /// # Errors
    /// When it is not after the last one.
    pub fn accept(
        &self,
        device: DeviceId,
        stream: &StreamName,
        position: Position,
    ) -> Result<Option<Gap>, Replayed> {
        let key = (device, stream.clone());
        let mut state = self.state.lock();
        let gap = step(state.last.get(&key).copied(), position)?;
        state.last.insert(key.clone(), position);
        state.dirty.insert(key, position);
        Ok(gap)
    }

    /// The last accepted position of a stream.
    pub fn last(&self, device: DeviceId, stream: &StreamName) -> Option<Position> {
        self.state
            .lock()
            .last
            .get(&(device, stream.clone()))
            .copied()
    }

    /// Brings changes to the disk every now and then, and once more at the end.
    pub async fn write_behind(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(POSITIONS_WRITE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                () = shutdown.cancelled() => true,
                _ = ticks.tick() => false,
            };
            if let Err(error) = self.write().await {
                tracing::error!(%error, "positions cannot be written");
            }
            if ended {
                return;
            }
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let dirty = std::mem::take(&mut self.state.lock().dirty);
        if dirty.is_empty() {
            return Ok(());
        }
        for ((device, stream), position) in &dirty {
            self.store
                .positions
                .put(&key_bytes(*device, stream), position)?;
        }
        self.store.flush().await
    }
}

/// Whether `next` may follow `last`, and what is missing between them.
fn step(last: Option<Position>, next: Position) -> Result<Option<Gap>, Replayed> {
    // What came before the first event that this gateway has seen is nobody's loss.
    let Some(last) = last else { return Ok(None) };
    if next <= last {
        return Err(Replayed { last });
    }
    let expected = if next.boot == last.boot {
        last.seq.get() + 1
    } else {
        Seq::FIRST.get()
    };
    let missing = (expected < next.seq.get()).then(|| {
        let from = Seq::try_from(expected).ok()?;
        let to = Seq::try_from(next.seq.get() - 1).ok()?;
        Some(Gap { from, to })
    });
    Ok(missing.flatten())
}

fn key_bytes(device: DeviceId, stream: &StreamName) -> Vec<u8> {
    [device.as_bytes().as_slice(), stream.as_str().as_bytes()].concat()
}

fn parse_key(bytes: &[u8]) -> Option<Key> {
    let (device, stream) = bytes.split_at_checked(20)?;
    let stream = std::str::from_utf8(stream).ok()?.parse().ok()?;
    Some((DeviceId::new(device.try_into().ok()?), stream))
}

#[cfg(test)]
mod tests;
