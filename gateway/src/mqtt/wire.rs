//! MQTT 3.1.1 and 5 packets as one small set, on the codecs of `ntex-mqtt`.
//!
//! Only what a device needs exists here: QoS 0 and 1 in, QoS 0 out, no topic aliases, no retained publishes of its
//! own, no share groups. What has no variant cannot happen.

mod v3;
mod v5;

use std::fmt;
use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use ntex::codec::Encoder;
use ntex::util::{BytePages, ByteString, Bytes as NtexBytes, BytesMut as NtexBytesMut};
use ntex_mqtt::QoS;
use ntex_mqtt::error::DecodeError;
use ntex_mqtt::{v3::codec as codec_v3, v5::codec as codec_v5};
use thiserror::Error;

/// First byte of a CONNECT packet.
const CONNECT: u8 = 0x10;
/// As much of a client's text as a log line shows; an honest topic is shorter.
const SHOWN_CHARACTERS: usize = 120;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Connect(Connect),
    Publish(Publish),
    Subscribe {
        packet_id: NonZeroU16,
        filters: Vec<String>,
    },
    Unsubscribe {
        packet_id: NonZeroU16,
        filters: Vec<String>,
    },
    Ping,
    /// The client leaves.
    Disconnect,
    /// An acknowledgement of something that we never ask to be acknowledged.
    Stray,
}

/// A CONNECT packet.
#[derive(PartialEq, Eq)]
pub(super) struct Connect {
    pub(super) keep_alive_seconds: u16,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) will: Option<Will>,
    /// Whether the client asks for an enhanced authentication (MQTT 5), which does not exist here.
    pub(super) enhanced: bool,
}

/// A last will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// A PUBLISH packet with all of its payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish {
    pub(super) topic: String,
    /// Present with QoS 1.
    pub(super) packet_id: Option<NonZeroU16>,
    pub(super) payload: Bytes,
}

/// What we send.
#[derive(Debug)]
pub(super) enum Outgoing {
    Accepted {
        keep_alive_seconds: u16,
        max_packet_bytes: u32,
        receive_max: NonZeroU16,
    },
    Refused(ConnectRefusal),
    PublishAck {
        packet_id: NonZeroU16,
    },
    /// One answer for each filter: granted with QoS 0, or refused.
    SubscribeAck {
        packet_id: NonZeroU16,
        granted: Vec<bool>,
    },
    UnsubscribeAck {
        packet_id: NonZeroU16,
        filters: usize,
    },
    Publish {
        topic: String,
        payload: Bytes,
        retain: bool,
    },
    Pong,
    /// MQTT 5 only; MQTT 3.1.1 just closes.
    Disconnect(DisconnectReason),
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectRefusal {
    Credentials,
    NotAuthorized,
    Unsupported,
}

/// Why we end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DisconnectReason {
    NotAuthorized,
    TakenOver,
    KeepAlive,
    PasswordEnded,
    ShuttingDown,
    Malformed,
    TooLarge,
    Protocol,
    QosNotSupported,
    QuotaExceeded,
}

/// A client's text as the log shows it: escaped, and the beginning of it only.
pub(super) struct Shortened<'a>(pub(super) &'a str);

/// Why bytes are not MQTT as we speak it.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum WireError {
    #[error("not an MQTT 3.1.1 or 5 CONNECT")]
    NotMqtt,
    #[error("a packet is too large")]
    TooLarge,
    #[error("malformed packet: {0:?}")]
    Malformed(DecodeError),
    #[error("QoS 2 is not supported")]
    QualityOfService,
    #[error("a packet that a client may not send")]
    Unexpected,
    #[error("a packet could not be encoded")]
    Encode,
}

/// The codec of one connection. Knows its version once the first bytes are there.
#[derive(Debug, Default)]
pub(super) struct Wire {
    version: Option<Version>,
    input: NtexBytesMut,
    max_packet_bytes: u32,
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
    pub(super) fn new(max_packet_bytes: u32) -> Self {
        Self {
            max_packet_bytes,
            ..Self::default()
        }
    }

    /// Allows larger packets from now on.
    pub(super) fn raise_limit(&mut self, max_packet_bytes: u32) {
        self.max_packet_bytes = max_packet_bytes;
        match &self.version {
            Some(Version::V3(codec)) => codec.set_max_size(max_packet_bytes),
            Some(Version::V5(codec)) => codec.set_max_inbound_size(max_packet_bytes),
            None => {}
        }
    }

    /// Takes bytes that were read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole packet; `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, WireError> {
        if self.version.is_none() {
            match protocol_level(&self.input)? {
                Some(level) => self.version = Some(Version::new(level, self.max_packet_bytes)?),
                None => return Ok(None),
            }
        }
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
                    // The codec subtracts without a check, so a lying length comes out huge.
                    if payload_bytes > self.max_packet_bytes {
                        return Err(WireError::TooLarge);
                    }
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
            WireError::Unexpected | WireError::Encode => Self::Protocol,
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

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.chars().take(SHOWN_CHARACTERS).collect::<String>();
        let more = if shown.len() < self.0.len() {
            "…"
        } else {
            ""
        };
        write!(f, "\"{}{more}\"", shown.escape_debug())
    }
}

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of every log.
        let username = self.username.as_deref().map(Shortened);
        let will = self.will.as_ref().map(|will| Shortened(&will.topic));
        f.debug_struct("Connect")
            .field("username", &username)
            .field("will", &will)
            .finish_non_exhaustive()
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

    #[test]
    fn a_clients_text_is_one_short_line_of_the_log() {
        let long = "a".repeat(60_000);
        let shortened = format!("\"{}…\"", "a".repeat(SHOWN_CHARACTERS));
        for (text, shown) in [
            ("ashya/v1/#", "\"ashya/v1/#\""),
            ("a\nERROR b\u{1b}[2J\"", "\"a\\nERROR b\\u{1b}[2J\\\"\""),
            (&long, &shortened),
        ] {
            assert_eq!(Shortened(text).to_string(), shown);
        }
    }
}
