//! How an event lies in the spool.

use ashya_protocol::{Boot, Position, Seq, StreamName};

use super::{Place, SpoolError};
use crate::voice::{Kind, Signed};

/// Ends the name of a stream in a key; no name holds it.
const END_OF_NAME: u8 = 0;
/// What sled needs for a record beside key and value.
const OVERHEAD_BYTES: u64 = 64;
/// Kind and time before the envelope.
const HEADER_BYTES: usize = 9;

/// An event and what is kept with it: its kind in one byte, the time in eight, the envelope.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// When it was kept, in seconds of the spool's clock.
    pub(super) at: u64,
    envelope: Vec<u8>,
}

impl Record {
    pub(super) fn of(event: &Signed, at: u64) -> Self {
        Self {
            kind: event.kind,
            at,
            envelope: event.envelope.clone(),
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, SpoolError> {
        let (header, envelope) = bytes
            .split_at_checked(HEADER_BYTES)
            .ok_or(SpoolError::Record)?;
        let kind = match header[0] {
            0 => Kind::Event,
            1 => Kind::Picture,
            _ => return Err(SpoolError::Record),
        };
        let at = header[1..].try_into().map_err(|_| SpoolError::Record)?;
        Ok(Self {
            kind,
            at: u64::from_be_bytes(at),
            envelope: envelope.to_vec(),
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Event => 0,
            Kind::Picture => 1,
        };
        [&[kind], &self.at.to_be_bytes()[..], &self.envelope].concat()
    }

    /// Bytes that it is counted with.
    pub(super) fn size(&self, key: &[u8]) -> u64 {
        (key.len() + HEADER_BYTES + self.envelope.len()) as u64 + OVERHEAD_BYTES
    }

    pub(super) fn into_event(self, place: Place) -> Signed {
        Signed {
            stream: place.stream,
            boot: place.position.boot,
            seq: place.position.seq,
            kind: self.kind,
            envelope: self.envelope,
        }
    }
}

impl Place {
    /// Reads a key: the name of the stream, a zero, boot and seq with their high bytes first, so that the order of the
    /// keys is that of the events.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let end = key.iter().position(|&byte| byte == END_OF_NAME)?;
        let (boot, seq) = key[end + 1..].split_at_checked(8)?;
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Some(Self {
            stream: std::str::from_utf8(&key[..end]).ok()?.parse().ok()?,
            position: Position {
                boot: Boot::try_from(number(boot)?).ok()?,
                seq: Seq::try_from(number(seq)?).ok()?,
            },
        })
    }
}

/// What the keys of a stream begin with.
pub(super) fn prefix_of(stream: &StreamName) -> Vec<u8> {
    [stream.as_str().as_bytes(), &[END_OF_NAME]].concat()
}

/// The key of an event.
pub(super) fn key_of(place: &Place) -> Vec<u8> {
    let Position { boot, seq } = place.position;
    let mut key = prefix_of(&place.stream);
    key.extend(boot.get().to_be_bytes());
    key.extend(seq.get().to_be_bytes());
    key
}
