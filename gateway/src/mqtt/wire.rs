//! MQTT 3.1.1 and 5 packets as one small set, on the codecs of `ntex-mqtt`.
//!
//! Only what a device needs exists here: QoS 0 and 1 in, QoS 0 out, no topic aliases, no retained publishes of its
//! own, no share groups. What has no variant cannot happen.

mod lengths;
mod packets;
mod v3;
mod v5;

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use ntex::codec::Encoder;
use ntex::util::{BytePages, ByteString, Bytes as NtexBytes, BytesMut as NtexBytesMut};
use ntex_mqtt::QoS;
use ntex_mqtt::error::DecodeError;
use ntex_mqtt::{v3::codec as codec_v3, v5::codec as codec_v5};
use thiserror::Error;

use lengths::Properties;
pub use packets::{Connect, Incoming, Publish, Will};
pub(super) use packets::{ConnectRefusal, DisconnectReason, Outgoing, Shortened};

/// Room for bytes that a connection keeps when all are decoded.
const KEPT_BYTES: usize = 4 * 1024;

/// First byte of a CONNECT packet.
const CONNECT: u8 = 0x10;

/// Why bytes are not MQTT as we speak it.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// Another protocol, or another packet first.
    #[error("not an MQTT 3.1.1 or 5 CONNECT")]
    NotMqtt,
    /// Larger than the limit of the connection.
    #[error("a packet is too large")]
    TooLarge,
    /// Not as MQTT has it.
    #[error("malformed packet: {0:?}")]
    Malformed(DecodeError),
    /// QoS 2.
    #[error("QoS 2 is not supported")]
    QualityOfService,
    /// One that only a server sends, or a part without its beginning.
    #[error("a packet that a client may not send")]
    Unexpected,
    /// A packet of ours has no form in this version of MQTT.
    #[error("a packet could not be encoded")]
    Encode,
}

/// The codec of one connection. Knows its version once the first bytes are there.
#[derive(Debug, Default)]
pub struct Wire {
    version: Option<Version>,
    input: NtexBytesMut,
    max_packet_bytes: u32,
    /// Whether the codec has begun with a packet.
    within: bool,
    /// A PUBLISH whose payload has not all arrived.
    partial: Option<(Publish, usize, BytesMut)>,
}

#[derive(Debug)]
enum Version {
    V3(codec_v3::Codec),
    V5(codec_v5::Codec),
}

enum Decoded {
    Packet(Incoming),
    Publish {
        publish: Publish,
        payload_bytes: u32,
        first: NtexBytes,
    },
    Chunk(NtexBytes, bool),
}

impl Wire {
    /// A codec that refuses packets of more than `max_packet_bytes`.
    pub fn new(max_packet_bytes: u32) -> Self {
        Self {
            max_packet_bytes,
            ..Self::default()
        }
    }

    /// Allows larger packets from now on.
    pub fn raise_limit(&mut self, max_packet_bytes: u32) {
        self.max_packet_bytes = max_packet_bytes;
        match &self.version {
            Some(Version::V3(codec)) => codec.set_max_size(max_packet_bytes),
            Some(Version::V5(codec)) => codec.set_max_inbound_size(max_packet_bytes),
            None => {}
        }
    }

    /// Takes bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole packet; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not MQTT as we speak it. The connection is then over.
    pub fn next_packet(&mut self) -> Result<Option<Incoming>, WireError> {
        if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
            // It would stay as large as the largest packet.
            self.input = NtexBytesMut::default();
        }
        if self.version.is_none() {
            match protocol_level(&self.input)? {
                Some(level) => self.version = Some(Version::new(level, self.max_packet_bytes)?),
                None => return Ok(None),
            }
        }
        let Some(version) = &self.version else {
            return Ok(None);
        };
        if !self.within && lengths::fit(&self.input, version.properties())?.is_none() {
            return Ok(None);
        }
        let packet = self.decode()?;
        self.within = packet.is_none();
        Ok(packet)
    }

    /// Whether a packet has begun to arrive and is not complete.
    pub(super) fn is_within_packet(&self) -> bool {
        self.within || !self.input.is_empty()
    }

    /// [`Self::next_packet`] of a version that is known, from lengths that fit.
    fn decode(&mut self) -> Result<Option<Incoming>, WireError> {
        loop {
            let Some(version) = &self.version else {
                return Ok(None);
            };
            let Some(decoded) = version.decode(&mut self.input)? else {
                return Ok(None);
            };
            match decoded {
                Decoded::Packet(packet) => return Ok(Some(packet)),
                Decoded::Publish {
                    publish,
                    payload_bytes,
                    first,
                } => {
                    let mut payload = BytesMut::with_capacity(first.len());
                    payload.extend_from_slice(&first);
                    if payload.len() == payload_bytes as usize {
                        return Ok(Some(finish(publish, payload)));
                    }
                    self.partial = Some((publish, payload_bytes as usize, payload));
                }
                Decoded::Chunk(bytes, last) => {
                    let Some((publish, whole, mut payload)) = self.partial.take() else {
                        return Err(WireError::Unexpected);
                    };
                    if payload.len() + bytes.len() > whole {
                        return Err(WireError::TooLarge);
                    }
                    payload.extend_from_slice(&bytes);
                    if last {
                        return Ok(Some(finish(publish, payload)));
                    }
                    self.partial = Some((publish, whole, payload));
                }
            }
        }
    }

    /// Appends the encoded packet to `out`. Nothing is written where the version has no such packet.
    pub(super) fn encode(&self, packet: Outgoing, out: &mut BytesMut) -> Result<(), WireError> {
        let mut pages = BytePages::default();
        match &self.version {
            Some(Version::V3(codec)) => match packet.into_v3() {
                Some(packet) => codec.encodev(packet, &mut pages),
                None => return Ok(()),
            },
            Some(Version::V5(codec)) => codec.encodev(packet.into_v5(), &mut pages),
            None => return Err(WireError::Encode),
        }
        .map_err(|_| WireError::Encode)?;
        out.extend_from_slice(&pages.freeze());
        Ok(())
    }
}

impl Version {
    fn new(level: u8, max_packet_bytes: u32) -> Result<Self, WireError> {
        match level {
            4 => {
                let codec = codec_v3::Codec::new();
                codec.set_max_size(max_packet_bytes);
                Ok(Self::V3(codec))
            }
            5 => {
                let codec = codec_v5::Codec::new();
                codec.set_max_inbound_size(max_packet_bytes);
                Ok(Self::V5(codec))
            }
            _ => Err(WireError::NotMqtt),
        }
    }

    /// Whether its PUBLISH has properties.
    const fn properties(&self) -> Properties {
        match self {
            Self::V3(_) => Properties::Absent,
            Self::V5(_) => Properties::Present,
        }
    }

    fn decode(&self, input: &mut NtexBytesMut) -> Result<Option<Decoded>, WireError> {
        match self {
            Self::V3(codec) => v3::decode(codec, input),
            Self::V5(codec) => v5::decode(codec, input),
        }
    }
}

impl From<&WireError> for DisconnectReason {
    fn from(error: &WireError) -> Self {
        match error {
            WireError::TooLarge => Self::TooLarge,
            WireError::Malformed(_) | WireError::NotMqtt => Self::Malformed,
            WireError::QualityOfService => Self::QosNotSupported,
            WireError::Unexpected => Self::Protocol,
            WireError::Encode => Self::Internal,
        }
    }
}

impl From<DecodeError> for WireError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::MaxSizeExceeded { .. } => Self::TooLarge,
            other => Self::Malformed(other),
        }
    }
}

/// Finds the protocol level in the first bytes of a connection, and refuses early what is not a CONNECT.
fn protocol_level(bytes: &[u8]) -> Result<Option<u8>, WireError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if first != CONNECT {
        return Err(WireError::NotMqtt);
    }
    let Some(length_bytes) = bytes
        .iter()
        .skip(1)
        .take(4)
        .position(|byte| byte & 0x80 == 0)
    else {
        return if bytes.len() > 4 {
            Err(WireError::NotMqtt)
        } else {
            Ok(None)
        };
    };
    let name = 1 + length_bytes + 1;
    let expected = b"\0\x04MQTT";
    let found = &bytes[name..bytes.len().min(name + expected.len()).max(name)];
    if !expected.starts_with(found) {
        return Err(WireError::NotMqtt);
    }
    Ok(bytes.get(name + expected.len()).copied())
}

fn finish(mut publish: Publish, payload: BytesMut) -> Incoming {
    publish.payload = payload.freeze();
    Incoming::Publish(publish)
}

fn incoming(
    topic: &ByteString,
    qos: QoS,
    packet_id: Option<NonZeroU16>,
) -> Result<Publish, WireError> {
    if qos == QoS::ExactlyOnce {
        return Err(WireError::QualityOfService);
    }
    Ok(Publish {
        topic: topic.to_string(),
        packet_id,
        payload: Bytes::new(),
    })
}

fn text(bytes: &NtexBytes) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Payloads of ours are short JSON.
fn size(payload: &Bytes) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Rejection;

    #[test]
    fn only_the_devices_own_packets_are_counted() {
        for (error, counted) in [
            (WireError::NotMqtt, Some(Rejection::Malformed)),
            (WireError::TooLarge, Some(Rejection::TooLarge)),
            (
                WireError::Malformed(DecodeError::InvalidLength),
                Some(Rejection::Malformed),
            ),
            (WireError::QualityOfService, Some(Rejection::Malformed)),
            (WireError::Unexpected, Some(Rejection::Malformed)),
            (WireError::Encode, None),
        ] {
            let reason = DisconnectReason::from(&error);
            assert_eq!(reason.rejection(), counted, "{error:?}");
        }
    }

    /// A session whose CONNECT has been taken, and what comes of more bytes.
    fn after_connect(level: u8, more: &[u8]) -> (Wire, Result<Option<Incoming>, WireError>) {
        let mut connect = vec![0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 60];
        // MQTT 5 has a length of properties before the client's name.
        connect.extend_from_slice(if level == 5 {
            &[0, 0, 0]
        } else {
            &[0, 1, b'a']
        });
        let mut wire = Wire::new(1_000);
        wire.feed(&connect);
        assert!(matches!(wire.next_packet(), Ok(Some(Incoming::Connect(_)))));
        wire.feed(more);
        let next = wire.next_packet();
        (wire, next)
    }

    #[test]
    fn a_topic_longer_than_its_packet_is_refused() {
        // Found by fuzzing: the codec subtracts the one from the other.
        for level in [4, 5] {
            let lie = [&[0x32, 3, 0, 40][..], &[b'a'; 60]].concat();
            let (_, next) = after_connect(level, &lie);
            assert!(matches!(next, Err(WireError::Malformed(_))), "{next:?}");
        }
    }

    #[test]
    fn a_large_packet_leaves_no_room_behind() {
        let mut large = vec![0x30, 0xff, 0x06, 0, 1, b'a'];
        large.resize(3 + 0x37f, b'x');
        let (mut wire, next) = after_connect(4, &large[..500]);
        assert_eq!(next, Ok(None));
        assert!(wire.is_within_packet());
        wire.feed(&large[500..]);
        wire.feed(&large.repeat(8));
        for _ in 0..9 {
            let next = wire.next_packet();
            assert!(matches!(next, Ok(Some(Incoming::Publish(_)))), "{next:?}");
        }
        assert_eq!(wire.next_packet(), Ok(None));
        assert!(!wire.is_within_packet());
        assert!(wire.input.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn properties_that_claim_256_mb_are_not_waited_for() {
        let (_, next) = after_connect(5, b"\x30\x20\x00\x01a\xff\xff\xff\x7f");
        assert!(matches!(next, Err(WireError::Malformed(_))), "{next:?}");
        // An honest one is taken, however it is cut.
        let honest = b"\x30\x06\x00\x01a\x00{}";
        let (mut wire, mut next) = after_connect(5, &honest[..1]);
        for byte in &honest[1..] {
            assert_eq!(next, Ok(None));
            wire.feed(&[*byte]);
            next = wire.next_packet();
        }
        assert!(matches!(next, Ok(Some(Incoming::Publish(one))) if *one.payload == *b"{}"));
    }
}
