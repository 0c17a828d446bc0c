//! The door: who may see what, until when.
//!
//! ```text
//!  device ──MQTT──► mqtt ─► ingest (signature, device, stream, position) ─► hub ─► socket, sse ──► subscriber
//!         ──REST──► api ──► registry                                               │ asks before each write
//!  node ───logs───► chain (follower) ─► ledger_index ─► access ◄───────────────────┘
//!                         ├─► store (cursor and index in one transaction)
//!                         └─► chain_clock
//! ```
//!
//! [`Config`] is read once, [`Listeners`] are bound, and [`run`] serves until its token is cancelled.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod access;
mod api;
mod auth;
mod backoff;
mod bridge;
mod chain;
mod chain_clock;
mod chained;
mod check;
mod config;
mod connection;
mod data_folder;
mod defaults;
mod demand;
mod entrance;
pub mod exit;
mod file_limit;
mod history;
mod hub;
mod ingest;
mod ledger_index;
pub mod logging;
mod metrics;
mod mqtt;
mod operator;
mod outage;
mod positions;
mod presence;
mod previews;
mod private;
mod registration_policy;
mod registry;
mod retention;
mod server;
mod socket;
mod sse;
mod store;
mod stream;
mod tcp;
mod traces;

pub use access::Access;
pub use api::{Bearer, HttpError};
pub use auth::AuthError;
pub use auth::client::{ForwardedHeader, Proxies};
pub use auth::device_passwords::{DeviceClaims, DevicePasswords};
pub use auth::fleet_key::FleetKeyError;
pub use auth::rates::RateConfig;
pub use auth::session_id::SessionId;
pub use auth::sessions::{Seat, SessionClaims, Sessions};
pub use auth::siwe::{SiweError, SiweMessage};
pub use bridge::{BridgeAddress, ParseBridgeAddressError};
pub use chain::FollowerError;
pub use chain_clock::{ChainClock, ClockSource, Freshness, HeadFromTheFuture, wall_instant_of};
pub use check::check;
pub use config::{
    Args, AuthConfig, ChainConfig, Command, Config, ConfigError, DataArgs, DeviceArgs, FileArgs,
    HttpConfig, LedgerSource, LogFormat, MqttConfig, OperatorCommand, RunArgs, Settings,
};
pub use data_folder::DataFolderError;
pub use entrance::{TlsConfig, TlsError};
pub use history::History;
pub use hub::{Hub, RingLimits};
pub use ingest::{Ingest, IngestClosed, IngestParts, Promise, Verdict};
pub use ledger_index::{FeedView, LedgerIndex, ListingDocument, SubscriptionView};
pub use metrics::{Loss, Metrics, Rejection};
pub use mqtt::{MqttParts, MqttRates, serve as serve_mqtt, wire as mqtt_wire};
pub use operator::{OrderError, operate};
pub use outage::{Heard, Limits as OutageLimits};
pub use positions::Positions;
pub use presence::Presence;
pub use previews::Previews;
pub use registration_policy::RegistrationPolicy;
pub use registry::{Blocklist, Registered, Registry, RegistryError};
pub use retention::Retention;
pub use server::{Listeners, ServerError, run, run_until_signal};
pub use socket::{SocketParts, SocketPolicy, client_rules};
pub use store::{ExportError, Store, StoreError};
