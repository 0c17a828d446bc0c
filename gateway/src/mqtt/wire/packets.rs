//! What goes over a device's connection, whatever the version of MQTT.

use std::fmt;
use std::num::NonZeroU16;

use bytes::Bytes;

use crate::metrics::Rejection;

/// As much of a client's text as a log line shows; an honest topic is shorter.
const SHOWN_CHARACTERS: usize = 120;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The beginning.
    Connect(Connect),
    /// An event, or the device's presence.
    Publish(Publish),
    /// The client asks for topics.
    Subscribe {
        /// What the answer names.
        packet_id: NonZeroU16,
        /// The topic filters.
        filters: Vec<String>,
    },
    /// The client no longer wants topics.
    Unsubscribe {
        /// What the answer names.
        packet_id: NonZeroU16,
        /// The topic filters.
        filters: Vec<String>,
    },
    /// The client is still there.
    Ping,
    /// The client leaves.
    Disconnect,
    /// An acknowledgement of something that we never ask to be acknowledged.
    Stray,
}

/// A CONNECT packet.
#[derive(PartialEq, Eq)]
pub struct Connect {
    /// Longest silence that the client promises, in seconds; 0 is none.
    pub keep_alive_seconds: u16,
    /// The device id.
    pub username: Option<String>,
    /// A token of the REST interface.
    pub password: Option<String>,
    /// What is published when the connection breaks.
    pub will: Option<Will>,
    /// Whether the client asks for an enhanced authentication (MQTT 5), which does not exist here.
    pub enhanced: bool,
}

/// A last will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
}

/// A PUBLISH packet with all of its payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Publish {
    /// Where.
    pub topic: String,
    /// Present with QoS 1.
    pub packet_id: Option<NonZeroU16>,
    /// What, whole.
    pub payload: Bytes,
}

/// What we send.
#[derive(Debug)]
pub(in crate::mqtt) enum Outgoing {
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
pub(in crate::mqtt) enum ConnectRefusal {
    Credentials,
    NotAuthorized,
    Unsupported,
}

/// Why we end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum DisconnectReason {
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
    /// We have failed, not the device.
    Internal,
}

impl DisconnectReason {
    /// What is counted as a rejected event where a packet ends the session; a foreign topic is counted by itself.
    pub(in crate::mqtt) const fn rejection(self) -> Option<Rejection> {
        match self {
            Self::TooLarge => Some(Rejection::TooLarge),
            Self::Malformed | Self::Protocol | Self::QosNotSupported => Some(Rejection::Malformed),
            Self::NotAuthorized
            | Self::TakenOver
            | Self::KeepAlive
            | Self::PasswordEnded
            | Self::ShuttingDown
            | Self::QuotaExceeded
            | Self::Internal => None,
        }
    }
}

/// A client's text as the log shows it: escaped, and the beginning of it only.
pub(in crate::mqtt) struct Shortened<'a>(pub(in crate::mqtt) &'a str);

impl Incoming {
    /// Bytes of what is published; other packets are small.
    pub(in crate::mqtt) fn payload_bytes(&self) -> usize {
        match self {
            Self::Publish(publish) => publish.payload.len(),
            _ => 0,
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
