//! The door: who may see what, until when.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod access;
mod auth;
mod chain_clock;
mod defaults;
mod ledger_index;
mod ledger_types;
mod metrics;
mod positions;
mod presence;
mod registry;
mod store;

pub use access::Access;
pub use auth::AuthError;
pub use auth::device_passwords::{DeviceClaims, DevicePasswords};
pub use auth::sessions::{SessionClaims, Sessions};
pub use chain_clock::{ChainClock, ClockSource, Freshness, HeadFromTheFuture, wall_instant_of};
pub use ledger_index::{FeedView, LedgerIndex, ListingDocument, SubscriptionView};
pub use metrics::{Loss, Metrics, Rejection};
pub use positions::{Gap, Positions, Replayed};
pub use presence::Presence;
pub use registry::{Registered, Registry, RegistryError};
pub use store::{Store, StoreError};
