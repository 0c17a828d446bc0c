use ashya_contracts::ChainError;
use ashya_protocol::Address;
use thiserror::Error;

use crate::chain_clock::HeadFromTheFuture;
use crate::store::StoreError;

/// Why a store cannot be used with a ledger.
#[derive(Debug, Error)]
pub enum FollowerError {
    /// The store belongs to another ledger.
    #[error(
        "the store belongs to ledger {known_ledger} on chain {known_chain}, not to {ledger} on chain {chain}: give another --data folder (a new store in this one would take in its exports, which are of the same ledger)"
    )]
    OtherLedger {
        /// The store's ledger.
        known_ledger: Address,
        /// The store's chain.
        known_chain: u64,
        /// The configured ledger.
        ledger: Address,
        /// The configured chain.
        chain: u64,
    },
    /// The store failed.
    #[error("the chain index cannot be read")]
    Store(#[from] StoreError),
}

/// Why one round failed; the next may not.
#[derive(Debug, Error)]
pub(super) enum RoundError {
    #[error("the node failed")]
    Node(#[from] ChainError),
    #[error("the node wants fewer blocks in a request for logs")]
    Refused(#[source] ChainError),
    #[error("the node is on chain {found}, expected chain {expected}")]
    OtherChain { found: u64, expected: u64 },
    #[error("the node is behind: its head is block {head}, block {needed} is needed")]
    Behind { head: u64, needed: u64 },
    #[error("block {0} changed while it was read")]
    Moving(u64),
    #[error("the node does not know block {0}, which is below its head")]
    Missing(u64),
    #[error(transparent)]
    Future(#[from] HeadFromTheFuture),
    #[error("the chain index cannot be written")]
    Store(#[from] StoreError),
}
