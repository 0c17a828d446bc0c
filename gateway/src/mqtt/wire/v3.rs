//! MQTT 3.1.1.

use bytes::Bytes;
use ntex::codec::Decoder;
use ntex::util::{Bytes as NtexBytes, BytesMut as NtexBytesMut};
use ntex_mqtt::QoS;
use ntex_mqtt::v3::codec as v3;

use super::{
    Connect, ConnectRefusal, Decoded, Incoming, Outgoing, Will, WireError, incoming, size, text,
};

pub(super) fn decode(
    codec: &v3::Codec,
    input: &mut NtexBytesMut,
) -> Result<Option<Decoded>, WireError> {
    Ok(match codec.decode(input)? {
        None => None,
        Some(v3::Decoded::Packet(packet, _)) => Some(Decoded::Packet(from_v3(packet)?)),
        Some(v3::Decoded::Publish(publish, first, _)) => Some(Decoded::Publish {
            payload_bytes: publish.payload_size,
            publish: incoming(&publish.topic, publish.qos, publish.packet_id)?,
            first,
        }),
        Some(v3::Decoded::PayloadChunk(bytes, last)) => Some(Decoded::Chunk(bytes, last)),
    })
}

impl Outgoing {
    /// The packet as MQTT 3.1.1 has it; `None` where it has none.
    pub(super) fn into_v3(self) -> Option<v3::Encoded> {
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
            Self::Publish {
                topic,
                payload,
                retain,
            } => {
                let publish = v3::Publish {
                    dup: false,
                    retain,
                    qos: QoS::AtMostOnce,
                    topic: topic.into(),
                    packet_id: None,
                    payload_size: size(&payload),
                };
                return Some(v3::Encoded::Publish(
                    publish,
                    Some(NtexBytes::copy_from_slice(&payload)),
                ));
            }
            Self::Pong => v3::Packet::PingResponse,
            Self::Disconnect(_) => return None,
        };
        Some(packet.into())
    }
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
        v3::Packet::Subscribe {
            packet_id,
            topic_filters,
        } => Incoming::Subscribe {
            packet_id,
            filters: topic_filters
                .iter()
                .map(|(filter, _)| filter.to_string())
                .collect(),
        },
        v3::Packet::Unsubscribe {
            packet_id,
            topic_filters,
        } => Incoming::Unsubscribe {
            packet_id,
            filters: topic_filters.iter().map(ToString::to_string).collect(),
        },
        v3::Packet::PingRequest => Incoming::Ping,
        v3::Packet::Disconnect => Incoming::Disconnect,
        v3::Packet::PublishAck { .. } => Incoming::Stray,
        _ => return Err(WireError::Unexpected),
    })
}
