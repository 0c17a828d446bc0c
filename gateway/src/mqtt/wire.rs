//! MQTT 3.1.1 and 5 packets as one small set, on the codecs of `ntex-mqtt`.
//!
//! Only what a device needs exists here: QoS 0 and 1 in, QoS 0 out, no topic aliases, no retained publishes of its
//! own, no share groups. What has no variant cannot happen.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use ntex::codec::{Decoder, Encoder};
use ntex::util::{ByteString, BytePages, Bytes as NtexBytes, BytesMut as NtexBytesMut};
use ntex_mqtt::error::DecodeError;
use ntex_mqtt::{QoS, v3::codec as v3, v5::codec as v5};
use thiserror::Error;

/// First byte of a CONNECT packet.
const CONNECT: u8 = 0x10;
/// Most bytes of CONNECT that are looked at to find the protocol level: fixed header, name, level.
const LEVEL_AT_MOST: usize = 5 + 7;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Connect(Connect),
    Publish(Publish),
    Subscribe { packet_id: NonZeroU16, filters: Vec<String> },
    Unsubscribe { packet_id: NonZeroU16, filters: Vec<String> },
    Ping,
    /// The client leaves; it may ask that its last will be published all the same.
    Disconnect { with_will: bool },
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
    Accepted { keep_alive_seconds: u16, max_packet_bytes: u32, receive_max: NonZeroU16 },
    Refused(ConnectRefusal),
    PublishAck { packet_id: NonZeroU16 },
    /// One answer for each filter: granted with QoS 0, or refused.
    SubscribeAck { packet_id: NonZeroU16, granted: Vec<bool> },
    UnsubscribeAck { packet_id: NonZeroU16, filters: usize },
    Publish { topic: String, payload: Bytes, retain: bool },
    Pong,
    /// MQTT 5 only; MQTT 3.1.1 just closes.
    Disconnect(DisconnectReason),
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectRefusal {
    Credentials,
    NotAuthorized,
    Busy,
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
}

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
    V3(v3::Codec),
    V5(v5::Codec),
}

enum Decoded {
    Packet(Incoming),
    Publish { publish: Publish, payload_bytes: u32, first: NtexBytes },
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
                Decoded::Publish { publish, payload_bytes, first } => {
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
                let codec = v3::Codec::new();
                codec.set_max_size(max_packet_bytes);
                Ok(Self::V3(codec))
            }
            5 => {
                let codec = v5::Codec::new();
                codec.set_max_inbound_size(max_packet_bytes);
                Ok(Self::V5(codec))
            }
            _ => Err(WireError::NotMqtt),
        }
    }

    fn decode(&self, input: &mut NtexBytesMut) -> Result<Option<Decoded>, WireError> {
        Ok(match self {
            Self::V3(codec) => match codec.decode(input).map_err(WireError::from)? {
                None => None,
                Some(v3::Decoded::Packet(packet, _)) => Some(Decoded::Packet(from_v3(packet)?)),
                Some(v3::Decoded::Publish(publish, first, _)) => Some(Decoded::Publish {
                    payload_bytes: publish.payload_size,
                    publish: incoming(publish.topic, publish.qos, publish.packet_id)?,
                    first,
                }),
                Some(v3::Decoded::PayloadChunk(bytes, last)) => Some(Decoded::Chunk(bytes, last)),
            },
            Self::V5(codec) => match codec.decode(input).map_err(WireError::from)? {
                None => None,
                Some(v5::Decoded::Packet(packet, _)) => Some(Decoded::Packet(from_v5(packet)?)),
                Some(v5::Decoded::Publish(publish, first, _)) => {
                    // We offer no topic alias, so a client that uses one breaks the protocol.
                    if publish.properties.topic_alias.is_some() {
                        return Err(WireError::Unexpected);
                    }
                    Some(Decoded::Publish {
                        payload_bytes: publish.payload_size,
                        publish: incoming(publish.topic, publish.qos, publish.packet_id)?,
                        first,
                    })
                }
                Some(v5::Decoded::PayloadChunk(bytes, last)) => Some(Decoded::Chunk(bytes, last)),
            },
        })
    }
}

impl Outgoing {
    fn into_v3(self) -> Option<v3::Encoded> {
        let packet = match self {
            Self::Accepted { .. } => v3::Packet::ConnectAck(v3::ConnectAck {
                return_code: v3::ConnectAckReason::ConnectionAccepted,
                session_present: false,
            }),
            Self::Refused(refusal) => v3::Packet::ConnectAck(v3::ConnectAck {
                return_code: match refusal {
                    ConnectRefusal::Credentials => v3::ConnectAckReason::BadUserNameOrPassword,
                    ConnectRefusal::NotAuthorized | ConnectRefusal::Unsupported => {
                        v3::ConnectAckReason::NotAuthorized
                    }
                    ConnectRefusal::Busy => v3::ConnectAckReason::ServiceUnavailable,
                },
                session_present: false,
            }),
            Self::PublishAck { packet_id } => v3::Packet::PublishAck { packet_id },
            Self::SubscribeAck { packet_id, granted } => v3::Packet::SubscribeAck {
                packet_id,
                status: granted
                    .into_iter()
                    .map(|yes| {
                        if yes {
                            v3::SubscribeReturnCode::Success(QoS::AtMostOnce)
                        } else {
                            v3::SubscribeReturnCode::Failure
                        }
                    })
                    .collect(),
            },
            Self::UnsubscribeAck { packet_id, .. } => v3::Packet::UnsubscribeAck { packet_id },
            Self::Publish { topic, payload, retain } => {
                let publish = v3::Publish {
                    dup: false,
                    retain,
                    qos: QoS::AtMostOnce,
                    topic: topic.into(),
                    packet_id: None,
                    payload_size: size(&payload),
                };
                return Some(v3::Encoded::Publish(publish, Some(NtexBytes::copy_from_slice(payload))));
            }
            Self::Pong => v3::Packet::PingResponse,
            Self::Disconnect(_) => return None,
        };
        Some(packet.into())
    }

    fn into_v5(self) -> v5::Encoded {
        let packet = match self {
            Self::Accepted { keep_alive_seconds, max_packet_bytes, receive_max } => v5::ConnectAck {
                receive_max,
                max_qos: QoS::AtLeastOnce,
                max_packet_size: Some(max_packet_bytes),
                topic_alias_max: 0,
                subscription_identifiers_available: false,
                shared_subscription_available: false,
                server_keepalive_sec: Some(keep_alive_seconds),
                session_expiry_interval_secs: Some(0),
                ..v5::ConnectAck::default()
            }
            .into(),
            Self::Refused(refusal) => v5::ConnectAck {
                reason_code: match refusal {
                    ConnectRefusal::Credentials => v5::ConnectAckReason::BadUserNameOrPassword,
                    ConnectRefusal::NotAuthorized => v5::ConnectAckReason::NotAuthorized,
                    ConnectRefusal::Busy => v5::ConnectAckReason::ServerBusy,
                    ConnectRefusal::Unsupported => v5::ConnectAckReason::BadAuthenticationMethod,
                },
                ..v5::ConnectAck::default()
            }
            .into(),
            Self::PublishAck { packet_id } => v5::PublishAck {
                packet_id,
                ..v5::PublishAck::default()
            }
            .into(),
            Self::SubscribeAck { packet_id, granted } => v5::Packet::SubscribeAck(v5::SubscribeAck {
                packet_id,
                properties: Vec::new(),
                reason_string: None,
                status: granted
                    .into_iter()
                    .map(|yes| {
                        if yes {
                            v5::SubscribeAckReason::GrantedQos0
                        } else {
                            v5::SubscribeAckReason::NotAuthorized
                        }
                    })
                    .collect(),
            }),
            Self::UnsubscribeAck { packet_id, filters } => {
                v5::Packet::UnsubscribeAck(v5::UnsubscribeAck {
                    packet_id,
                    properties: Vec::new(),
                    reason_string: None,
                    status: vec![v5::UnsubscribeAckReason::Success; filters],
                })
            }
            Self::Publish { topic, payload, retain } => {
                let publish = v5::Publish {
                    retain,
                    topic: topic.into(),
                    payload_size: size(&payload),
                    ..v5::Publish::default()
                };
                return v5::Encoded::Publish(publish, Some(NtexBytes::copy_from_slice(payload)));
            }
            Self::Pong => v5::Packet::PingResponse,
            Self::Disconnect(reason) => v5::Disconnect::new(reason.into()).into(),
        };
        packet.into()
    }
}

impl From<DisconnectReason> for v5::DisconnectReasonCode {
    fn from(reason: DisconnectReason) -> Self {
        match reason {
            DisconnectReason::NotAuthorized => Self::NotAuthorized,
            DisconnectReason::TakenOver => Self::SessionTakenOver,
            DisconnectReason::KeepAlive => Self::KeepAliveTimeout,
            DisconnectReason::PasswordEnded => Self::MaximumConnectTime,
            DisconnectReason::ShuttingDown => Self::ServerShuttingDown,
            DisconnectReason::Malformed => Self::MalformedPacket,
            DisconnectReason::TooLarge => Self::PacketTooLarge,
            DisconnectReason::Protocol => Self::ProtocolError,
            DisconnectReason::QosNotSupported => Self::QosNotSupported,
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

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of every log.
        f.debug_struct("Connect")
            .field("username", &self.username)
            .field("will", &self.will)
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
    let Some(length_bytes) = bytes.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0) else {
        return if bytes.len() > 4 { Err(WireError::NotMqtt) } else { Ok(None) };
    };
    let name = 1 + length_bytes + 1;
    let expected = b"\0\x04MQTT";
    let found = &bytes[name..bytes.len().min(name + expected.len()).max(name)];
    if !expected.starts_with(found) {
        return Err(WireError::NotMqtt);
    }
    debug_assert!(name + expected.len() < LEVEL_AT_MOST);
    Ok(bytes.get(name + expected.len()).copied())
}

fn finish(mut publish: Publish, payload: BytesMut) -> Incoming {
    publish.payload = payload.freeze();
    Incoming::Publish(publish)
}

fn incoming(
    topic: ByteString,
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

fn from_v3(packet: v3::Packet) -> Result<Incoming, WireError> {
    Ok(match packet {
        v3::Packet::Connect(connect) => Incoming::Connect(Connect {
            keep_alive_seconds: connect.keep_alive,
            username: connect.username.map(|name| name.to_string()),
            password: connect.password.as_ref().and_then(text),
            will: connect.last_will.map(|will| Will {
                topic: will.topic.to_string(),
                payload: Bytes::copy_from_slice(&will.message),
            }),
            enhanced: false,
        }),
        v3::Packet::Subscribe { packet_id, topic_filters } => Incoming::Subscribe {
            packet_id,
            filters: topic_filters.iter().map(|(filter, _)| filter.to_string()).collect(),
        },
        v3::Packet::Unsubscribe { packet_id, topic_filters } => Incoming::Unsubscribe {
            packet_id,
            filters: topic_filters.iter().map(ToString::to_string).collect(),
        },
        v3::Packet::PingRequest => Incoming::Ping,
        v3::Packet::Disconnect => Incoming::Disconnect { with_will: false },
        v3::Packet::PublishAck { .. } => Incoming::Stray,
        _ => return Err(WireError::Unexpected),
    })
}

fn from_v5(packet: v5::Packet) -> Result<Incoming, WireError> {
    Ok(match packet {
        v5::Packet::Connect(connect) => Incoming::Connect(Connect {
            keep_alive_seconds: connect.keep_alive,
            username: connect.username.map(|name| name.to_string()),
            password: connect.password.as_ref().and_then(text),
            will: connect.last_will.map(|will| Will {
                topic: will.topic.to_string(),
                payload: Bytes::copy_from_slice(&will.message),
            }),
            enhanced: connect.auth_method.is_some(),
        }),
        v5::Packet::Subscribe(subscribe) => Incoming::Subscribe {
            packet_id: subscribe.packet_id,
            filters: subscribe.topic_filters.iter().map(|(filter, _)| filter.to_string()).collect(),
        },
        v5::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            packet_id: unsubscribe.packet_id,
            filters: unsubscribe.topic_filters.iter().map(ToString::to_string).collect(),
        },
        v5::Packet::PingRequest => Incoming::Ping,
        v5::Packet::Disconnect(disconnect) => Incoming::Disconnect {
            with_will: disconnect.reason_code
                == v5::DisconnectReasonCode::DisconnectWithWillMessage,
        },
        v5::Packet::PublishAck(_) => Incoming::Stray,
        _ => return Err(WireError::Unexpected),
    })
}

fn text(bytes: &NtexBytes) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Payloads of ours are short JSON.
fn size(payload: &Bytes) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}
