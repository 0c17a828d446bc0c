//! Follows the ledger on its chain and keeps the index, the store and the clock in step with it.

mod backoff;
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

pub(crate) use backoff::Backoff;
pub use error::FollowerError;
use error::RoundError;
pub(crate) use follower::{Follower, FollowerParts};
#[cfg(test)]
pub(crate) use journal::BlockId;
pub(crate) use journal::JournalBlock;
pub(crate) use pace::Pace;
pub(crate) use status::ChainStatus;
