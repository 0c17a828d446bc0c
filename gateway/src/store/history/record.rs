//! The values of history's trees.

use ashya_protocol::{FeedId, Position};
use bytes::Bytes;

use super::keys;
use crate::stream::{Gap, StreamKey};

const FEED: usize = 32;

/// An accepted event that is to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub(crate) key: StreamKey,
    pub(crate) position: Position,
    /// Unix second of chain time at which it was accepted.
    pub(crate) at: u64,
    /// The numbers before it that never came.
    pub(crate) lost: Option<Gap>,
    /// The feeds that sold its device then.
    pub(crate) feeds: Vec<FeedId>,
    /// The device's own bytes.
    pub(crate) envelope: Bytes,
}

/// A kept event.
#[derive(Debug)]
pub(crate) struct Record(sled::IVec);

/// What is read of a [`Record`].
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// Unix second of chain time at which it was accepted.
    pub(crate) at: u64,
    /// How many numbers before it never came.
    pub(crate) lost: u64,
    feeds: &'a [[u8; FEED]],
    /// The device's own bytes.
    pub(crate) envelope: &'a [u8],
}

/// What was accepted of one stream in ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) bytes: u64,
    /// The last event.
    pub(super) last: Position,
}

/// ```text
///  at 8 | lost 8 | count of feeds 2 | feeds 32 each | envelope
/// ```
pub(super) fn to_bytes(event: &NewEvent) -> Vec<u8> {
    let lost = event
        .lost
        .map_or(0, |gap| gap.to.get() - gap.from.get() + 1);
    // The ledger's fees keep a device from being sold in more feeds; those beyond would have to pay for the present.
    let feeds = &event.feeds[..event.feeds.len().min(usize::from(u16::MAX))];
    let mut bytes = Vec::with_capacity(18 + feeds.len() * FEED + event.envelope.len());
    bytes.extend(event.at.to_be_bytes());
    bytes.extend(lost.to_be_bytes());
    bytes.extend((feeds.len() as u16).to_be_bytes());
    for feed in feeds {
        bytes.extend(feed.as_bytes());
    }
    bytes.extend(&event.envelope);
    bytes
}

/// What an event counts for, in bytes.
pub(super) fn weight(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

impl Record {
    pub(super) const fn new(value: sled::IVec) -> Self {
        Self(value)
    }

    /// Its parts; nothing when this version did not write it.
    pub(crate) fn parts(&self) -> Option<Parts<'_>> {
        let (at, rest) = self.0.split_first_chunk()?;
        let (lost, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let feeds = usize::from(u16::from_be_bytes(*count)) * FEED;
        let (feeds, envelope) = rest.split_at_checked(feeds)?;
        Some(Parts {
            at: u64::from_be_bytes(*at),
            lost: u64::from_be_bytes(*lost),
            feeds: feeds.as_chunks().0,
            envelope,
        })
    }
}

impl Parts<'_> {
    /// The feeds that sold the event's device when it came.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = FeedId> {
        self.feeds.iter().map(|feed| FeedId::new(*feed))
    }
}

impl Slice {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.bytes, self.last.boot.get(), self.last.seq.get()];
        numbers.map(u64::to_be_bytes).concat()
    }

    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let ([bytes, boot, seq], []) = value.as_chunks() else {
            return None;
        };
        Some(Self {
            bytes: u64::from_be_bytes(*bytes),
            last: keys::position_of(*boot, *seq)?,
        })
    }
}
