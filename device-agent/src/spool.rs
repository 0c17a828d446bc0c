//! Events on the disk while the gateway is away. The only module that knows sled.
//!
//! ```text
//!  outbox ──Errand: keep, forget, fetch──► Spool ──one flush──► disk
//!     ▲                                      │
//!     └──────── Turned: fetched, dropped ────┘
//! ```
//!
//! Whatever is kept is on the disk when [`Spool::turn`] returns: neither a kill nor a power cut undoes it. What is
//! forgotten may come back after one; the gateway knows such an event already and says so. Of more than its limits
//! allow, the oldest pictures go first, then the oldest events.

mod damage;
mod disk;
mod record;
mod stock;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::{DeviceId, Position, StreamName};
use thiserror::Error;

use crate::voice::{Kind, Signed};
use damage::unbroken;
use disk::Disk;
use record::{Record, key_of, prefix_of};
use stock::Stock;

/// Memory for what was read of the disk: the spool is read once and in order.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes that one answer fetches of a stream at most, so that memory stays flat; one event always fits.
const FETCH_BYTES: usize = 1024 * 1024;
/// Whose events these are, so that those of another key are never sent as ours.
const DEVICE_KEY: &[u8] = b"device";
/// Of the limit, what is left after events had to go: not one by one for each that comes.
const TRIM_TO: f64 = 0.95;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpoolLimits {
    /// Bytes of events.
    pub(crate) bytes: u64,
    /// Age, counted while the agent runs: a clock that jumps throws nothing away.
    pub(crate) age: Duration,
}

/// An event's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) stream: StreamName,
    pub(crate) position: Position,
}

/// What the spool is asked to do in one go.
#[derive(Debug, Default)]
pub(crate) struct Errand {
    /// Events to keep; one that is there already is kept once.
    pub(crate) keep: Vec<Arc<Signed>>,
    /// Events that are done with.
    pub(crate) forget: Vec<Place>,
    /// Streams to read on.
    pub(crate) fetch: Vec<Fetch>,
}

/// Asks for the next events of a stream.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) stream: StreamName,
    /// The last one that was fetched.
    pub(crate) after: Option<Position>,
    /// Most events that are wanted.
    pub(crate) most: usize,
}

/// What the spool did.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    pub(crate) fetched: Vec<Fetched>,
    /// What had to go.
    pub(crate) dropped: Vec<(Place, Kind)>,
}

/// The next events of a stream.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) stream: StreamName,
    pub(crate) events: Vec<Signed>,
    /// Whether there are further ones.
    pub(crate) more: bool,
}

/// What the spool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// Events in a folder, by stream and position.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    tree: sled::Tree,
    db: sled::Db,
    disk: Disk,
    limits: SpoolLimits,
    stock: Stock,
    /// Since when events have been kept, in seconds of the spool's own clock.
    opened_at: u64,
    opened: std::time::Instant,
}

/// Why the spool cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SpoolError {
    /// The folder cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// In sled's words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the spool failed")]
    Store(#[from] sled::Error),
    /// What was written cannot be brought to the disk.
    #[error("the spool cannot be flushed")]
    Flush(#[from] io::Error),
    /// A record is not what this version writes.
    #[error("a record of the spool cannot be read")]
    Record,
    /// It holds the events of another key.
    #[error("the spool belongs to another device")]
    OtherDevice,
    /// A damaged page was met.
    #[error("the spool panicked")]
    Panicked,
}

impl Spool {
    /// Opens the spool of `device` in `path`, or makes it. One that is damaged, or another device's, is set aside
    /// under another name, and an empty one begun.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn open(
        path: &Path,
        device: DeviceId,
        limits: SpoolLimits,
    ) -> Result<Self, SpoolError> {
        damage::remove_half_snapshots(path).map_err(|error| SpoolError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        match unbroken(|| Self::open_as_it_is(path, device, limits)) {
            Err(error) if error.is_damage() => {
                damage::set_aside(path, &error)?;
                unbroken(|| Self::open_as_it_is(path, device, limits))
            }
            other => other,
        }
    }

    fn open_as_it_is(
        path: &Path,
        device: DeviceId,
        limits: SpoolLimits,
    ) -> Result<Self, SpoolError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            // We flush when something is worth it.
            .flush_every_ms(None);
        let db = config.open().map_err(|error| match error {
            damage @ sled::Error::Corruption { .. } => SpoolError::Store(damage),
            error => SpoolError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })?;
        match db.get(DEVICE_KEY)? {
            Some(owner) if owner.as_ref() != device.as_bytes().as_slice() => {
                return Err(SpoolError::OtherDevice);
            }
            Some(_) => {}
            None => drop(db.insert(DEVICE_KEY, device.as_bytes().as_slice())?),
        }
        let tree = db.open_tree("events")?;
        let stock = Stock::count(&tree)?;
        Ok(Self {
            path: path.to_owned(),
            disk: Disk::open(path)?,
            opened_at: stock.newest(),
            opened: std::time::Instant::now(),
            stock,
            limits,
            tree,
            db,
        })
    }

    /// Does an errand, and makes room where there is too much.
    ///
    /// # Errors
    /// When the disk fails. Some of the errand may be done then; doing it again does no harm.
    pub(crate) fn turn(&mut self, errand: &Errand) -> Result<Turned, SpoolError> {
        unbroken(|| self.turn_unguarded(errand))
    }

    fn turn_unguarded(&mut self, errand: &Errand) -> Result<Turned, SpoolError> {
        let now = self.opened_at + self.opened.elapsed().as_secs();
        for place in &errand.forget {
            self.remove(place)?;
        }
        for event in &errand.keep {
            let place = Place::of(event);
            let (key, record) = (key_of(&place), Record::of(event, now));
            let size = record.size(&key);
            if self.tree.insert(&key, record.to_bytes())?.is_none() {
                self.stock.add(&place.stream, size);
            }
        }
        let dropped = self.make_room(now)?;
        if !errand.keep.is_empty() {
            self.disk.flush(&self.db)?;
        }
        let fetched = errand.fetch.iter().map(|fetch| self.fetch(fetch));
        Ok(Turned {
            fetched: fetched.collect::<Result<_, _>>()?,
            dropped,
        })
    }

    /// What is there now.
    pub(crate) fn held(&self) -> Held {
        self.stock.held()
    }

    /// The streams that have events here.
    pub(crate) fn streams(&self) -> Vec<StreamName> {
        self.stock.streams().cloned().collect()
    }

    fn fetch(&self, fetch: &Fetch) -> Result<Fetched, SpoolError> {
        let from = match fetch.after {
            Some(position) => {
                let stream = fetch.stream.clone();
                let mut after = key_of(&Place { stream, position });
                after.push(0);
                after
            }
            None => prefix_of(&fetch.stream),
        };
        let prefix = prefix_of(&fetch.stream);
        let (mut events, mut bytes) = (Vec::new(), 0);
        for item in self.tree.range(from..) {
            let (key, value) = item?;
            if !key.starts_with(&prefix) {
                break;
            }
            if events.len() >= fetch.most || (bytes > 0 && bytes + value.len() > FETCH_BYTES) {
                return Ok(Fetched {
                    stream: fetch.stream.clone(),
                    events,
                    more: true,
                });
            }
            bytes += value.len();
            let place = Place::from_key(&key).ok_or(SpoolError::Record)?;
            events.push(Record::read(&value)?.into_event(place));
        }
        Ok(Fetched {
            stream: fetch.stream.clone(),
            events,
            more: false,
        })
    }

    fn remove(&mut self, place: &Place) -> Result<(), SpoolError> {
        let key = key_of(place);
        if let Some(value) = self.tree.remove(&key)? {
            let size = Record::read(&value)?.size(&key);
            self.stock.take(&place.stream, size);
        }
        Ok(())
    }

    /// Removes what is too old, and of what is too much the oldest pictures, then the oldest events.
    fn make_room(&mut self, now: u64) -> Result<Vec<(Place, Kind)>, SpoolError> {
        let mut dropped = Vec::new();
        let full = self.held().bytes > self.limits.bytes;
        if !full && !self.stock.is_age_check_due(now) {
            return Ok(dropped);
        }
        let goal = (self.limits.bytes as f64 * TRIM_TO) as u64;
        let mut heads = Vec::new();
        for stream in self.streams() {
            heads.extend(self.head(&stream)?);
        }
        loop {
            let too_much = full && self.held().bytes > goal;
            let is_old = |at: u64| now.saturating_sub(at) > self.limits.age.as_secs();
            let oldest = heads
                .iter()
                .enumerate()
                .filter(|(_, (_, record))| too_much || is_old(record.at))
                .min_by_key(|(_, (_, record))| (record.kind == Kind::Event, record.at))
                .map(|(index, _)| index);
            let Some((place, record)) = oldest.map(|index| heads.swap_remove(index)) else {
                return Ok(dropped);
            };
            self.remove(&place)?;
            heads.extend(self.head(&place.stream)?);
            dropped.push((place, record.kind));
        }
    }

    /// The oldest event of a stream.
    fn head(&self, stream: &StreamName) -> Result<Option<(Place, Record)>, SpoolError> {
        let Some(item) = self.tree.scan_prefix(prefix_of(stream)).next() else {
            return Ok(None);
        };
        let (key, value) = item?;
        let place = Place::from_key(&key).ok_or(SpoolError::Record)?;
        Ok(Some((place, Record::read(&value)?)))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What was forgotten need not be sent again after an orderly end.
        if unbroken(|| self.disk.flush(&self.db)).is_err() {
            tracing::debug!(path = %self.path.display(), "the spool was not flushed at its end");
        }
    }
}

impl Errand {
    /// Whether it changes nothing on the disk.
    pub(crate) fn is_only_reading(&self) -> bool {
        self.keep.is_empty() && self.forget.is_empty()
    }
}

impl Place {
    /// Where an event stands.
    pub(crate) fn of(event: &Signed) -> Self {
        Self {
            stream: event.stream.clone(),
            position: event.position(),
        }
    }
}

#[cfg(test)]
mod tests;
