//! Bodies of the REST interface under `/v1`. Errors are RFC 9457 problem documents ([`Problem`]).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hash::Hash;
use crate::ids::{Address, DeviceId, FeedId};
use crate::keys::Signature;
use crate::limits::{MAX_DESCRIPTION_BYTES, MAX_SAFE_INTEGER, MAX_STREAMS, MAX_TITLE_BYTES};
use crate::names::{FeedName, StreamName};
use crate::numbers::Wei;
use crate::offer::Offer;
use crate::text::{is_description, is_title};

/// A device's word about itself; its EIP-712 digest is [`crate::Domain::device_registration`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The device.
    pub device: DeviceId,
    /// The wallet that the device says it belongs to.
    pub owner: Address,
    /// Rises with every change; the highest wins.
    pub revision: u64,
    /// A short name for people.
    pub title: String,
    /// More about it.
    pub description: String,
    /// The streams that it publishes.
    pub streams: Vec<StreamName>,
}

impl Registration {
    /// Checks the rules that the types alone cannot.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), RegistrationError> {
        if !is_title(&self.title) {
            return Err(RegistrationError::Title);
        }
        if !is_description(&self.description) {
            return Err(RegistrationError::Description);
        }
        if self.streams.is_empty() || self.streams.len() > MAX_STREAMS {
            return Err(RegistrationError::StreamCount);
        }
        let mut names = BTreeSet::new();
        if let Some(repeated) = self.streams.iter().find(|name| !names.insert(*name)) {
            return Err(RegistrationError::RepeatedStream(repeated.clone()));
        }
        if self.revision > MAX_SAFE_INTEGER {
            return Err(RegistrationError::Revision);
        }
        Ok(())
    }
}

/// The rule that a [`Registration`] breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// No title, too long a one, or one that deceives.
    #[error(
        "the title must be one line of 1 to {MAX_TITLE_BYTES} bytes without control or direction characters"
    )]
    Title,
    /// Too long a description, or one that deceives.
    #[error(
        "the description may have {MAX_DESCRIPTION_BYTES} bytes at most, without control or direction characters"
    )]
    Description,
    /// No stream, or too many.
    #[error("a device names 1 to {MAX_STREAMS} streams")]
    StreamCount,
    /// A stream is named twice.
    #[error("the stream {0} is named twice")]
    RepeatedStream(StreamName),
    /// A number that JavaScript cannot hold.
    #[error("the revision must be below 2^53")]
    Revision,
}

/// `POST /v1/devices` and `PUT /v1/devices/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedRegistration {
    /// The document.
    pub registration: Registration,
    /// The device's signature of its digest.
    pub signature: Signature,
}

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// What the device says of itself.
    #[serde(flatten)]
    pub registration: Registration,
    /// Whether the owner is proven by a feed on the ledger, or only claimed.
    pub owner_proven: bool,
    /// Whether the device is connected now.
    pub online: bool,
}

/// Answer to `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeviceList {
    /// The devices.
    pub devices: Vec<Device>,
    /// What `after` takes to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `POST /v1/devices/{id}/credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialRequest {
    /// Fresh nonce of this gateway.
    pub nonce: String,
    /// The device's signature of [`crate::Domain::credential_request`].
    pub signature: Signature,
}

/// What a device needs to log in by MQTT.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// User name: the device id.
    pub username: String,
    /// Password: a short JWT. The MQTT session ends when it does.
    pub password: String,
    /// Unix seconds at which the password ends.
    pub expires_at: u64,
    /// Port of the broker, on the host that the device reached by REST. Without TLS, unless it is `mqttTlsPort` too.
    pub mqtt_port: u16,
    /// Port of the broker that speaks TLS, where it has one. A device uses it rather than the other, so that its password
    /// is not seen on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt_tls_port: Option<u16>,
    /// Another host name for the broker, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt_host: Option<String>,
}

/// Answer to `POST /v1/auth/nonce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nonce {
    /// Letters and digits, good once and for some minutes.
    pub nonce: String,
}

/// `POST /v1/auth/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The Sign-In with Ethereum text (EIP-4361), as it was signed.
    pub message: String,
    /// The wallet's signature, 0x-hex. Longer than 65 bytes for smart accounts (ERC-1271, ERC-6492).
    pub signature: String,
}

/// Answer to `POST /v1/auth/session`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Bearer token for REST and first message for the websocket. Never put it in a URL.
    pub token: String,
    /// The wallet that it speaks for.
    pub wallet: Address,
    /// Unix seconds at which it ends.
    pub expires_at: u64,
}

/// One of a wallet's open sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// Names it in `DELETE /v1/auth/sessions/{id}`; it is no secret and opens nothing.
    pub id: String,
    /// Unix seconds at which it was opened.
    pub issued_at: u64,
    /// Unix seconds at which it ends by itself.
    pub expires_at: u64,
    /// Sockets and event streams that are open by it here.
    pub sockets: usize,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// Answer to `GET /v1/auth/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    /// The sessions, the newest first.
    pub sessions: Vec<SessionInfo>,
    /// What `after` takes to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Answer to `GET /v1/chain`: where the money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Name for people.
    pub name: String,
    /// Address of the `FeedLedger`.
    pub ledger: Address,
    /// Block in which it was deployed.
    pub deployment_block: u64,
    /// JSON-RPC address that a browser may use, where the operator offers one.
    pub rpc_url: Option<String>,
    /// The newest block that the gateway has read.
    pub head: Option<Head>,
    /// The newest block that the chain will not take back, where the chain and its node tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized: Option<Head>,
    /// Private keys with play money, offered by `--demo` on chain 31337 alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub demo_keys: Vec<String>,
}

/// A block that the gateway has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Whether a feed can be bought and its clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FeedState {
    /// On sale.
    Open,
    /// The clock stands still.
    Paused,
    /// The clock stands still for good.
    Retired,
}

/// A feed as the gateway shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// The feed.
    pub id: FeedId,
    /// Its device now.
    pub device: DeviceId,
    /// Its name on the ledger.
    pub name: FeedName,
    /// The wallet that owns it.
    pub owner: Address,
    /// Price in wei per second.
    pub price: Wei,
    /// Hash of its listing on the ledger.
    pub listing: Hash,
    /// Title from the listing; the name where the gateway does not hold the document.
    pub title: String,
    /// Description from the listing.
    pub description: String,
    /// Streams from the listing; empty where the gateway does not hold the document, and then it cannot be watched.
    pub streams: Vec<StreamName>,
    /// Whether it can be bought now.
    pub state: FeedState,
    /// Unix seconds at which the running pause began; `null` while there is none.
    pub paused_at: Option<u64>,
    /// Who began the running pause, the owner or the feed's pauser; `null` while there is none.
    pub paused_by: Option<Address>,
    /// Whether its device is connected now.
    pub online: bool,
}

/// Answer to `GET /v1/feeds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedList {
    /// The feeds.
    pub feeds: Vec<Feed>,
    /// What `after` takes to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `PUT /v1/feeds/{id}/listing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedListing {
    /// Exact canonical JSON of the listing.
    pub document: String,
    /// The owner's signature of [`crate::Domain::feed_listing`].
    pub signature: Signature,
}

/// A wallet's right to one feed by one payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The feed.
    pub feed: FeedId,
    /// Who paid, and who gets a refund by cancelling.
    pub payer: Address,
    /// Who may watch.
    pub beneficiary: Address,
    /// Price in wei per second that was agreed.
    pub price: Wei,
    /// First second of access, in feed time.
    pub start: u64,
    /// First second without access, in feed time.
    pub expiry: u64,
    /// Unix seconds at which access ends; `null` while the feed's clock stands still.
    pub expires_at: Option<u64>,
    /// Whether it gives access now.
    pub live: bool,
    /// Block of the last payment or cancel.
    pub block: u64,
    /// Whether the chain will not take that back any more.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// Answer to `GET /v1/me/subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionList {
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// What `after` takes to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How old a still must be that anybody may see, in seconds: a minute, so that nobody watches by it, to a day.
pub const PREVIEW_DELAY_SECONDS: RangeInclusive<u64> = 60..=86_400;

/// `PUT /v1/feeds/{id}/preview`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewSetting {
    /// Seconds that a picture is kept back at least, in [`PREVIEW_DELAY_SECONDS`]; 60 when absent.
    #[serde(default = "least_delay")]
    #[cfg_attr(feature = "openapi", schema(minimum = 60, maximum = 86_400))]
    pub delay_seconds: u64,
}

fn least_delay() -> u64 {
    *PREVIEW_DELAY_SECONDS.start()
}

/// An error, RFC 9457 (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `about:blank`, or a name for the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code for machines, such as `nonce-used`.
    pub code: String,
    /// What is wrong with this request and what to do about it.
    pub detail: String,
    /// The `x-request-id` of the request, which the gateway's log names too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How to pay, with status 402.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}
