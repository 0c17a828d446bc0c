//! How the load client speaks to each server: the words up to the point at which messages flow.

use std::net::SocketAddr;

use ashya_protocol::FeedId;
use ashya_protocol::ws::{ClientMessage, SUBPROTOCOL_BINARY};

/// What a watcher subscribes to at the brokers.
const TOPIC: &str = "ashya.bench";

/// How a server is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum Dialect {
    /// A bare websocket: whoever is connected watches.
    Plain,
    /// MQTT 3.1.1 over TCP, which costs a broker less than websockets would.
    Mqtt,
    /// The NATS protocol within a websocket.
    Nats,
    /// Ashya's websocket: every socket signs in and asks for a feed.
    Ashya { token: String, feed: FeedId },
}

/// Something to say, and the end of the answer to it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) say: Vec<u8>,
    pub(crate) until: Vec<u8>,
}

/// The frame of a websocket message, as clients send it (RFC 6455, section 5.2); the mask is zero.
#[derive(Debug, Clone, Copy)]
enum Opcode {
    Text = 1,
    Binary = 2,
}

impl Dialect {
    /// The conversation that makes a connection a watcher.
    pub(crate) fn watcher(&self, server: SocketAddr, name: &str) -> Vec<Turn> {
        let mut turns = self.upgrade(server, "/ws");
        match self {
            Self::Plain => {}
            Self::Mqtt => turns.extend([
                turn(mqtt_connect(name, None), &[0x20, 2, 0, 0]),
                turn(mqtt_subscribe(TOPIC), &[0x90, 3, 0, 1]),
            ]),
            Self::Nats => turns.extend(nats_turns(&format!("SUB {TOPIC} 1\r\n"))),
            Self::Ashya { token, feed } => {
                let auth = ClientMessage::Auth {
                    token: token.clone(),
                };
                let watch = ClientMessage::Watch {
                    feed: *feed,
                    streams: None,
                    since: Default::default(),
                };
                turns.extend([
                    turn(said(&auth), br#""welcome""#),
                    turn(said(&watch), br#""watching""#),
                ]);
            }
        }
        turns
    }

    /// The conversation that makes a connection the publisher of a peer.
    pub(crate) fn publisher(&self, server: SocketAddr) -> Vec<Turn> {
        let mut turns = self.upgrade(server, "/pub");
        match self {
            Self::Plain | Self::Ashya { .. } => {}
            Self::Mqtt => turns.push(turn(mqtt_connect("publisher", None), &[0x20, 2, 0, 0])),
            Self::Nats => turns.extend(nats_turns("")),
        }
        turns
    }

    /// A message on its way to the watchers of a peer.
    pub(crate) fn publish(&self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain | Self::Ashya { .. } => binary(payload),
            Self::Mqtt => mqtt_publish(TOPIC, payload, None),
            Self::Nats => {
                let mut line = format!("PUB {TOPIC} {}\r\n", payload.len()).into_bytes();
                line.extend(payload);
                line.extend(b"\r\n");
                binary(&line)
            }
        }
    }

    /// How a connection becomes a websocket, where it does.
    fn upgrade(&self, server: SocketAddr, path: &str) -> Vec<Turn> {
        let (path, subprotocol) = match self {
            Self::Plain | Self::Nats => (path, None),
            Self::Mqtt => return Vec::new(),
            Self::Ashya { .. } => ("/v1/ws", Some(SUBPROTOCOL_BINARY)),
        };
        let subprotocol = subprotocol.map_or(String::new(), |name| {
            format!("Sec-WebSocket-Protocol: {name}\r\n")
        });
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{subprotocol}\r\n"
        );
        vec![turn(request.into_bytes(), b"\r\n\r\n")]
    }
}

/// The first packet of an MQTT 3.1.1 session, with a name and a password where the broker wants them.
pub(crate) fn mqtt_connect(client: &str, login: Option<(&str, &str)>) -> Vec<u8> {
    const CLEAN_SESSION: u8 = 0x02;
    const LOGIN: u8 = 0xc0;
    const KEEP_ALIVE_SECONDS: u16 = 600;
    let flags = CLEAN_SESSION | if login.is_some() { LOGIN } else { 0 };
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags];
    body.extend(KEEP_ALIVE_SECONDS.to_be_bytes());
    let login = login.into_iter().flat_map(|(name, word)| [name, word]);
    for text in std::iter::once(client).chain(login) {
        body.extend(mqtt_text(text));
    }
    mqtt_packet(0x10, &body)
}

/// A PUBLISH of MQTT 3.1.1: QoS 1 with a packet identifier, QoS 0 without.
pub(crate) fn mqtt_publish(topic: &str, payload: &[u8], identifier: Option<u16>) -> Vec<u8> {
    let mut body = mqtt_text(topic);
    body.extend(identifier.into_iter().flat_map(u16::to_be_bytes));
    body.extend(payload);
    mqtt_packet(if identifier.is_some() { 0x32 } else { 0x30 }, &body)
}

fn mqtt_subscribe(topic: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend(mqtt_text(topic));
    body.push(0);
    mqtt_packet(0x82, &body)
}

fn mqtt_text(text: &str) -> Vec<u8> {
    // Names and passwords of this program are short.
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn mqtt_packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        packet.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn nats_turns(subscribe: &str) -> [Turn; 2] {
    let options = r#"{"verbose":false,"pedantic":false,"lang":"rust","version":"1","protocol":1}"#;
    let hello = format!("CONNECT {options}\r\n{subscribe}PING\r\n");
    [
        turn(Vec::new(), b"INFO"),
        turn(binary(hello.as_bytes()), b"PONG\r\n"),
    ]
}

fn turn(say: Vec<u8>, until: &[u8]) -> Turn {
    let until = until.to_vec();
    Turn { say, until }
}

fn said(message: &ClientMessage) -> Vec<u8> {
    let text = serde_json::to_vec(message).expect("messages have a JSON form");
    frame(Opcode::Text, &text)
}

fn binary(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Binary, payload)
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut bytes = vec![0x80 | opcode as u8];
    match payload.len() {
        short @ 0..126 => bytes.push(MASKED | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(MASKED | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(MASKED | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
