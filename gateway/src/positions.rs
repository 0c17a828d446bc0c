//! The last accepted event of each stream: what makes a replay and a loss visible. Events that history keeps go the same
//! way to the disk.
//!
//! ```text
//!  accept ──► batch that gathers ──► writer thread: write, flush ──► everybody who waits for that batch
//!                   ▲                         │
//!                   └──────── put back ◄──────┘ the disk failed
//! ```
//!
//! One flush serves all who wait for it (group commit), so that a durable answer costs a fraction of a disk write.

mod watchdog;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use ashya_protocol::limits::MAX_STREAMS;
use ashya_protocol::{DeviceId, FeedId, Position, Seq, StreamName};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::retention::Retention;
use crate::store::{NewEvent, Store, StoreError};
use crate::stream::{Gap, StreamKey};

/// Most streams of one device that are remembered: those that it names, and some that it named before. Forgetting one
/// would let its old events be replayed.
const MAX_STREAMS_REMEMBERED: usize = 8 * MAX_STREAMS;

/// A position that is not after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Replayed {
    last: Position,
}

/// A position that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What is missing before it.
    pub(crate) gap: Option<Gap>,
    /// The batch in which it goes to the disk.
    pub(crate) batch: Batch,
}

/// Why a position is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NotTaken {
    /// It is not after the last one.
    #[error("not after the last one")]
    Replayed {
        /// The batch in which the last one goes to the disk.
        batch: Batch,
    },
    /// The device has used up its names of streams.
    #[error("the device has published on {MAX_STREAMS_REMEMBERED} streams already")]
    Streams,
}

/// Positions that go to the disk together; later ones have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Batch(u64);

/// The last accepted [`Position`] of each (device, stream). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Positions {
    store: Store,
    kept: Arc<Retention>,
    shared: Arc<Shared>,
}

type Key = (DeviceId, StreamName);

/// What goes to the disk together.
#[derive(Debug, Default)]
struct Dirty {
    /// The last position of each stream; none of one that is forgotten.
    positions: BTreeMap<Key, Option<Position>>,
    events: Vec<Kept>,
}

/// An event on its way to history.
#[derive(Debug)]
struct Kept {
    event: NewEvent,
    /// Its part of the memory for events that wait: while the disk stands still, devices wait, and memory is flat.
    _room: Option<OwnedSemaphorePermit>,
}

/// An event that is to be kept with its position.
#[derive(Debug)]
pub(crate) struct Keep {
    /// Unix second of chain time.
    pub(crate) at: u64,
    /// The feeds that sell its device, paused ones too.
    pub(crate) feeds: Vec<FeedId>,
    /// The device's own bytes.
    pub(crate) envelope: Bytes,
    /// Its part of the memory for events that wait.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when there is something to write, or nothing will come any more.
    changed: Condvar,
    /// The last batch that is on the disk.
    written: watch::Sender<Batch>,
}

#[derive(Debug)]
struct State {
    last: HashMap<DeviceId, BTreeMap<StreamName, Position>>,
    dirty: Dirty,
    /// The batch that what is dirty belongs to.
    gathering: Batch,
    /// Since when a batch has been on its way to the disk.
    writing_since: Option<Instant>,
    closed: bool,
}

impl Positions {
    /// Reads the positions of a store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let mut last = HashMap::<DeviceId, BTreeMap<StreamName, Position>>::new();
        for (key, position) in store.positions.load::<Position>()? {
            let (device, stream) = parse_key(&key).ok_or(StoreError::Key)?;
            last.entry(device).or_default().insert(stream, position);
        }
        let state = State {
            last,
            dirty: Dirty::default(),
            gathering: Batch::NONE.next(),
            writing_since: None,
            closed: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            written: watch::Sender::new(Batch::NONE),
        };
        Ok(Self {
            store,
            kept: Arc::default(),
            shared: Arc::new(shared),
        })
    }

    /// The same positions, with events that history keeps.
    pub fn keeping(mut self, retention: Retention) -> Self {
        self.kept = Arc::new(retention);
        self
    }

    /// What history keeps.
    pub(crate) fn kept(&self) -> &Retention {
        &self.kept
    }

    /// Takes the position of an event that is after the last one of its stream, and says what is missing between
    /// them; of two callers with the same position only one is told yes. It is on the disk, with the event where that
    /// is to be kept, once its batch is [written](Self::written).
    ///
    /// # Errors
    /// When it is not after the last one, or the device has had too many streams.
    pub(crate) fn accept(
        &self,
        device: DeviceId,
        stream: &StreamName,
        position: Position,
        keep: Option<Keep>,
    ) -> Result<Taken, NotTaken> {
        let mut state = self.shared.state.lock();
        let batch = state.gathering;
        let key = (device, stream.clone());
        let streams = state.last.entry(device).or_default();
        let last = streams.get(stream).copied();
        if last.is_none() && streams.len() >= MAX_STREAMS_REMEMBERED {
            return Err(NotTaken::Streams);
        }
        let Ok(gap) = step(last, position) else {
            let batch = state.batch_of(&key);
            return Err(NotTaken::Replayed { batch });
        };
        streams.insert(stream.clone(), position);
        state.dirty.positions.insert(key, Some(position));
        let keep = keep.map(|keep| keep.at_position(device, stream, position, gap));
        state.dirty.events.extend(keep);
        drop(state);
        self.shared.changed.notify_one();
        Ok(Taken { gap, batch })
    }

    /// Waits until a batch is on the disk. False when nobody is left who could write it.
    pub(crate) fn written(&self, batch: Batch) -> impl Future<Output = bool> + Send + use<> {
        let mut written = self.shared.written.subscribe();
        async move { written.wait_for(|last| *last >= batch).await.is_ok() }
    }

    /// Waits until all that was accepted before this call is on the disk. False when nobody is left who could write it.
    pub(crate) fn settled(&self) -> impl Future<Output = bool> + Send + use<> {
        let state = self.shared.state.lock();
        let last = if state.dirty.positions.is_empty() {
            state.gathering.before()
        } else {
            state.gathering
        };
        drop(state);
        self.written(last)
    }

    /// Forgets a device: what it sends next is its first event.
    pub(crate) fn forget(&self, device: DeviceId) {
        let mut state = self.shared.state.lock();
        let Some(streams) = state.last.remove(&device) else {
            return;
        };
        let gone = streams.into_keys().map(|stream| ((device, stream), None));
        state.dirty.positions.extend(gone);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// The last accepted position of every stream.
    pub(crate) fn all(&self) -> Vec<((DeviceId, StreamName), Position)> {
        let state = self.shared.state.lock();
        let devices = state.last.iter();
        devices
            .flat_map(|(device, streams)| {
                let streams = streams.iter();
                streams.map(|(stream, position)| ((*device, stream.clone()), *position))
            })
            .collect()
    }

    /// Where they are kept.
    #[cfg(test)]
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// The last accepted position of a stream.
    #[cfg(test)]
    pub(crate) fn last(&self, device: DeviceId, stream: &StreamName) -> Option<Position> {
        let state = self.shared.state.lock();
        state.last.get(&device)?.get(stream).copied()
    }
}

impl Keep {
    fn at_position(
        self,
        device: DeviceId,
        stream: &StreamName,
        position: Position,
        lost: Option<Gap>,
    ) -> Kept {
        let stream = stream.clone();
        Kept {
            event: NewEvent {
                key: StreamKey { device, stream },
                position,
                at: self.at,
                lost,
                feeds: self.feeds,
                envelope: self.envelope,
            },
            _room: self.room,
        }
    }
}

impl State {
    /// The batch that brought or brings the last position of a stream to the disk, or a later one.
    fn batch_of(&self, key: &Key) -> Batch {
        if self.dirty.positions.contains_key(key) {
            self.gathering
        } else {
            self.gathering.before()
        }
    }
}

impl Batch {
    /// What was on the disk at the start.
    const NONE: Self = Self(0);

    const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The gathering batch is never the first.
    const fn before(self) -> Self {
        Self(self.0 - 1)
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
