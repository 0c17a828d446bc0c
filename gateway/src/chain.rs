//! Follows the ledger on its chain and keeps the index, the store and the clock in step with it.

mod endpoints;
mod error;
mod follower;
mod fork;
mod journal;
mod pace;
mod progress;
mod ranges;
mod reader;
mod replica;
mod status;
#[cfg(test)]
mod tests;

pub use error::FollowerError;
use error::RoundError;
pub(crate) use follower::{Follower, FollowerParts};
pub(crate) use pace::Pace;
pub(crate) use status::ChainStatus;
