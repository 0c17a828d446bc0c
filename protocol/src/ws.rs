//! Messages of the websocket `/v1/ws`.
//!
//! Control messages are JSON objects with a `type`. With the subprotocol [`SUBPROTOCOL_BINARY`] events are the
//! device's own envelopes as binary messages; with [`SUBPROTOCOL_JSON`] they are [`ServerMessage::Event`].

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::envelope::VerifiedEvent;
use crate::ids::{Address, DeviceId, FeedId};
use crate::keys::Signature;
use crate::names::{ContentType, StreamName};
use crate::numbers::{Boot, Position, Seq, TimeUs};
use crate::offer::Offer;

/// JSON control messages, binary envelopes.
pub const SUBPROTOCOL_BINARY: &str = "ashya.v1";
/// Everything as JSON.
pub const SUBPROTOCOL_JSON: &str = "ashya.v1.json";

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum ClientMessage {
    /// Who is here; must come first.
    Auth {
        /// Token of `POST /v1/auth/session`.
        token: String,
    },
    /// Asks for a feed.
    Watch {
        /// The feed.
        feed: FeedId,
        /// The streams wanted; all of the feed's when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        streams: Option<Vec<StreamName>>,
        /// The last event that the client has of each stream; it gets what came after.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        since: BTreeMap<StreamName, Position>,
    },
    /// No longer wants a feed.
    Unwatch {
        /// The feed.
        feed: FeedId,
    },
    /// Asks for a `pong`.
    Ping {},
}

/// What the gateway says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum ServerMessage {
    /// The token is good.
    Welcome {
        /// The wallet that it speaks for.
        wallet: Address,
    },
    /// The watch has begun, or holds something else now. Its device is there, unless a notice right behind says that it
    /// is offline.
    Watching {
        /// The feed.
        feed: FeedId,
        /// Its device.
        device: DeviceId,
        /// The streams that will come.
        streams: Vec<StreamName>,
        /// Unix seconds at which access ends; `null` while the feed is paused, and for its owner.
        expires_at: Option<u64>,
    },
    /// An event, in the all-JSON subprotocol.
    Event(Box<JsonEvent>),
    /// Events that the client will not get.
    Gap {
        /// The device.
        device: DeviceId,
        /// The stream.
        stream: StreamName,
        /// The start of the device.
        boot: Boot,
        /// First missing number.
        from: Seq,
        /// Last missing number.
        to: Seq,
        /// Why they are missing.
        reason: GapReason,
    },
    /// Something about a watched feed has changed. `paused` is also the answer to who has not paid for a paused feed: the
    /// offer follows once it is open.
    Notice {
        /// The feed.
        feed: FeedId,
        /// What changed.
        state: NoticeState,
        /// Unix seconds at which access now ends; `null` while the feed is paused, and for its owner.
        expires_at: Option<u64>,
    },
    /// The watch is over.
    Ended {
        /// The feed.
        feed: FeedId,
        /// Why.
        reason: EndReason,
    },
    /// The wallet has not paid for an open feed; here is how.
    PaymentRequired(Offer),
    /// The last message could not be served.
    Error {
        /// Stable code.
        code: ErrorCode,
        /// What to do about it.
        message: String,
    },
    /// Answer to `ping`.
    Pong {},
}

/// An event as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonEvent {
    /// The device.
    pub device: DeviceId,
    /// The stream.
    pub stream: StreamName,
    /// The start of the device.
    pub boot: Boot,
    /// The number within that start.
    pub seq: Seq,
    /// Time of capture.
    pub time_us: TimeUs,
    /// Media type of the payload.
    pub content_type: ContentType,
    /// The exact text of the payload, or its base64 (RFC 4648, section 4) when [`Self::encoding`] says so.
    pub payload: String,
    /// Present when the payload is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<PayloadEncoding>,
    /// The device's signature.
    pub signature: Signature,
}

/// How a payload that is not text stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadEncoding {
    /// RFC 4648, section 4.
    Base64,
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// The client reads too slowly.
    Slow,
    /// They never reached the gateway.
    Lost,
    /// They are no longer kept.
    Gone,
}

/// What has changed about a watched feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeState {
    /// Access ends soon, or the time at which it ends has moved.
    Expiring,
    /// The feed's clock stands still.
    Paused,
    /// The feed's clock runs again.
    Resumed,
    /// The device is gone.
    Offline,
    /// The device is back.
    Online,
}

/// Why a watch is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// The paid time is used up.
    Expired,
    /// The subscription was cancelled.
    Cancelled,
    /// The feed was retired; also the answer to who has not paid for it.
    Retired,
    /// The payment's block was undone.
    Reorg,
    /// The session was revoked.
    Revoked,
}

/// Stable codes of `error` messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not a message of this protocol.
    Malformed,
    /// The token is missing, wrong or no longer good.
    Unauthorized,
    /// No such feed on the ledger.
    UnknownFeed,
    /// The gateway does not hold the feed's listing document.
    ListingMissing,
    /// A stream that the feed does not hold.
    UnknownStream,
    /// More watches than one socket may have.
    TooManyWatches,
    /// The gateway cannot tell who has paid: it has no current view of the chain.
    ChainUnavailable,
    /// The wallet has as many sockets open as it may.
    TooManySockets,
}

/// Why a socket was closed, and whether coming back makes sense. The numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1001: the gateway is going away; come back.
    GoingAway,
    /// 4000: a message broke the protocol; do not come back unchanged.
    Protocol,
    /// 4001: no good token came in time; sign in, then come back.
    Unauthorized,
    /// 4002: the client stayed behind; come back.
    TooSlow,
    /// 4003: nothing was heard from the client; come back.
    Stale,
    /// 4004: the session was revoked; sign in, then come back.
    Revoked,
    /// 4005: the wallet has as many sockets open as it may; close one, then come back.
    TooManySockets,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Protocol => 4000,
            Self::Unauthorized => 4001,
            Self::TooSlow => 4002,
            Self::Stale => 4003,
            Self::Revoked => 4004,
            Self::TooManySockets => 4005,
        }
    }

    /// The reason on the wire.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "going away: come back",
            Self::Protocol => "protocol error: do not come back unchanged",
            Self::Unauthorized => "unauthorized: sign in, then come back",
            Self::TooSlow => "too slow: come back",
            Self::Stale => "stale: come back",
            Self::Revoked => "revoked: sign in, then come back",
            Self::TooManySockets => "too many sockets: close one, then come back",
        }
    }
}

impl From<&VerifiedEvent> for JsonEvent {
    fn from(verified: &VerifiedEvent) -> Self {
        let event = verified.event();
        let (payload, encoding) = match std::str::from_utf8(&event.payload) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (
                STANDARD.encode(&event.payload),
                Some(PayloadEncoding::Base64),
            ),
        };
        Self {
            device: event.device,
            stream: event.stream.clone(),
            boot: event.position.boot,
            seq: event.position.seq,
            time_us: event.time_us,
            content_type: event.content_type.clone(),
            payload,
            encoding,
            signature: *verified.signature(),
        }
    }
}

#[cfg(test)]
mod tests;
