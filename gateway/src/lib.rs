//! The door: who may see what, until when.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod access;
mod auth;
mod chain_clock;
mod defaults;
mod demand;
mod hub;
mod ingest;
mod ledger_index;
mod ledger_types;
mod metrics;
mod mqtt;
mod positions;
mod presence;
mod registry;
mod socket;
mod sse;
mod store;

pub use access::Access;
pub use auth::AuthError;
pub use auth::device_passwords::{DeviceClaims, DevicePasswords};
pub use auth::sessions::{SessionClaims, Sessions};
pub use chain_clock::{ChainClock, ClockSource, Freshness, HeadFromTheFuture, wall_instant_of};
pub use demand::Demand;
pub use hub::Hub;
pub use ingest::{Ingest, IngestClosed, IngestParts, Verdict};
pub use ledger_index::{FeedView, LedgerIndex, ListingDocument, SubscriptionView};
pub use metrics::{Loss, Metrics, Rejection};
pub use mqtt::{MqttParts, serve as serve_mqtt};
pub use positions::{Gap, Positions, Replayed};
pub use presence::Presence;
pub use registry::{Registered, Registry, RegistryError};
pub use socket::{SocketParts, routes as socket_routes};
pub use store::{Store, StoreError};
