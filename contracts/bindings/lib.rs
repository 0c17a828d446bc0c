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
mod amounts;
mod bloom;
mod convert;
mod error;
mod events;
mod keys;
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

pub use amounts::{parse_duration, parse_eth, parse_gwei, show_eth};
pub use bloom::LogsBloom;
pub use error::{ChainError, LedgerRefusal};
pub use events::{LedgerEvent, LoggedEvent};
pub use keys::{Asking, KeyArgs, KeySourceError, read_password};
pub use keystore::{KeystoreError, create_keystore, read_keystore, write_keystore};
pub use ledger::Ledger;
pub use records::{
    Cancelled, ClockChange, Deployed, Deployment, Fate, FeedClock, FeedRecord, FeedTerms, Receipt,
    Settled, SubscribeTerms, Subscribed, SubscriptionRecord, Withdrawn,
};
pub use release::Release;
pub use rpc::{Block, Rpc};
pub use signer::ExternalSigner;
pub use transaction::{Draft, SignedTransaction};
pub use wallet::{Progress, Wallet};
