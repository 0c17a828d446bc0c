//! The keys of history's trees. A stream's name has at least one letter and no zero byte, so that a zero ends it.

use ashya_protocol::{Boot, Position, Seq};

use crate::stream::StreamKey;

const NUMBER: usize = size_of::<u64>();
const DEVICE: usize = 20;

/// What all keys of a stream begin with.
pub(super) fn stream(key: &StreamKey) -> Vec<u8> {
    let name = key.stream.as_str().as_bytes();
    [key.device.as_bytes().as_slice(), name, &[0]].concat()
}

pub(super) fn event(stream: &[u8], position: Position) -> Vec<u8> {
    let (boot, seq) = (position.boot.get(), position.seq.get());
    [stream, &boot.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// A key after every event of a stream.
pub(super) fn last_event(stream: &[u8]) -> Vec<u8> {
    [stream, &[u8::MAX; 2 * NUMBER]].concat()
}

pub(super) fn boot(stream: &[u8], boot: Boot) -> Vec<u8> {
    [stream, &boot.get().to_be_bytes()].concat()
}

/// A key after every start of a stream's device.
pub(super) fn last_boot(stream: &[u8]) -> Vec<u8> {
    [stream, &[u8::MAX; NUMBER]].concat()
}

pub(super) fn slice(number: u64, stream: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), stream].concat()
}

/// What all keys of a stream's device begin with.
pub(super) fn device(stream: &[u8]) -> &[u8] {
    stream.get(..DEVICE).unwrap_or(stream)
}

/// The position of an event's key.
pub(super) fn position(key: &[u8]) -> Option<Position> {
    let (rest, seq) = key.split_last_chunk::<NUMBER>()?;
    let (_, boot) = rest.split_last_chunk::<NUMBER>()?;
    position_of(*boot, *seq)
}

/// Start and last pruned number.
pub(super) fn mark(key: &[u8], value: &[u8]) -> Option<(Boot, Seq)> {
    let (_, boot) = key.split_last_chunk::<NUMBER>()?;
    let position = position_of(*boot, value.try_into().ok()?)?;
    Some((position.boot, position.seq))
}

/// A slice's number, and what all keys of its stream begin with.
pub(super) fn slice_parts(key: &[u8]) -> Option<(u64, &[u8])> {
    let (number, stream) = key.split_first_chunk::<NUMBER>()?;
    Some((u64::from_be_bytes(*number), stream))
}

pub(super) fn position_of(boot: [u8; NUMBER], seq: [u8; NUMBER]) -> Option<Position> {
    Some(Position {
        boot: u64::from_be_bytes(boot).try_into().ok()?,
        seq: u64::from_be_bytes(seq).try_into().ok()?,
    })
}
