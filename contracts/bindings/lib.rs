//! The ledger in Rust: typed verbs over JSON-RPC, and the deployless check of any wallet's signature.
//!
//! ```text
//!  Wallet ──signs──► Ledger ──► Rpc ─http(s), ws(s)─► node
//!                      │
//!                      └──► FeedRecord, FeedClock, LedgerEvent, … in the words of `ashya-protocol`
//! ```
//!
//! This is the only crate that knows ethers, which is archived. None of its types is in the public interface, so
//! replacing it is the work of this crate alone. The bindings come from the committed `abi/*.json`, which a test
//! holds against the Solidity sources.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod abi;
mod bloom;
mod convert;
mod error;
mod events;
mod keystore;
mod ledger;
mod records;
mod release;
mod rpc;
mod signer;
#[cfg(test)]
mod tests;
mod transaction;
mod transport;
mod wallet;

pub use bloom::LogsBloom;
pub use error::{ChainError, LedgerRefusal};
pub use events::{LedgerEvent, LoggedEvent};
pub use keystore::{KeystoreError, create_keystore, read_keystore};
pub use ledger::Ledger;
pub use records::{
    Cancelled, ClockChange, Deployed, Deployment, FeedClock, FeedRecord, FeedTerms, Receipt,
    SubscribeTerms, Subscribed, SubscriptionRecord, Withdrawn,
};
pub use release::Release;
pub use rpc::{Block, Rpc};
pub use signer::ExternalSigner;
pub use wallet::{Progress, Wallet};
