//! Follows the ledger on its chain and keeps the index, the store and the clock in step with it.

mod backoff;
mod follower;
mod status;

pub(crate) use backoff::Backoff;
pub use follower::FollowerError;
pub(crate) use follower::{Follower, FollowerParts};
pub(crate) use status::ChainStatus;
