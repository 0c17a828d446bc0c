//! MQTT 5.

use bytes::Bytes;
use ntex::codec::Decoder;
use ntex::util::{Bytes as NtexBytes, BytesMut as NtexBytesMut};
use ntex_mqtt::QoS;
use ntex_mqtt::v5::codec as v5;

use super::{
    Connect, ConnectRefusal, Decoded, DisconnectReason, Incoming, Outgoing, Will, WireError,
    incoming, size, text,
};

pub(super) fn decode(
    codec: &v5::Codec,
    input: &mut NtexBytesMut,
) -> Result<Option<Decoded>, WireError> {
    Ok(match codec.decode(input)? {
        None => None,
        Some(v5::Decoded::Packet(packet, _)) => Some(Decoded::Packet(from_v5(packet)?)),
        Some(v5::Decoded::Publish(publish, first, _)) => {
            // We offer no topic alias, so a client that uses one breaks the protocol.
            if publish.properties.topic_alias.is_some() {
                return Err(WireError::Unexpected);
            }
            Some(Decoded::Publish {
                payload_bytes: publish.payload_size,
                publish: incoming(&publish.topic, publish.qos, publish.packet_id)?,
                first,
            })
        }
        Some(v5::Decoded::PayloadChunk(bytes, last)) => Some(Decoded::Chunk(bytes, last)),
    })
}

impl Outgoing {
    /// The packet as MQTT 5 has it.
    pub(super) fn into_v5(self) -> v5::Encoded {
        let packet = match self {
            Self::Accepted {
                keep_alive_seconds,
                max_packet_bytes,
                receive_max,
            } => v5::ConnectAck {
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
            Self::SubscribeAck { packet_id, granted } => {
                v5::Packet::SubscribeAck(v5::SubscribeAck {
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
                })
            }
            Self::UnsubscribeAck { packet_id, filters } => {
                v5::Packet::UnsubscribeAck(v5::UnsubscribeAck {
                    packet_id,
                    properties: Vec::new(),
                    reason_string: None,
                    status: vec![v5::UnsubscribeAckReason::Success; filters],
                })
            }
            Self::Publish {
                topic,
                payload,
                retain,
            } => {
                let publish = v5::Publish {
                    retain,
                    topic: topic.into(),
                    payload_size: size(&payload),
                    ..v5::Publish::default()
                };
                return v5::Encoded::Publish(publish, Some(NtexBytes::copy_from_slice(&payload)));
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
            DisconnectReason::QuotaExceeded => Self::QuotaExceeded,
            DisconnectReason::Internal => Self::ImplementationSpecificError,
        }
    }
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
            filters: subscribe
                .topic_filters
                .iter()
                .map(|(filter, _)| filter.to_string())
                .collect(),
        },
        v5::Packet::Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            packet_id: unsubscribe.packet_id,
            filters: unsubscribe
                .topic_filters
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        v5::Packet::PingRequest => Incoming::Ping,
        v5::Packet::Disconnect(_) => Incoming::Disconnect,
        v5::Packet::PublishAck(_) => Incoming::Stray,
        _ => return Err(WireError::Unexpected),
    })
}
