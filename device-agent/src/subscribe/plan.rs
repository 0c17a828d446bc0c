//! What a buyer has asked for, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ashya_contracts::{Rpc, Wallet};
use ashya_protocol::{Address, FeedId, Hash, Position, StreamName, Wei};
use url::Url;

use crate::subscribe::news::Voice;

/// A purchase: what, from whom, for how much, and where it goes.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The feed.
    pub(crate) feed: FeedId,
    /// Who serves it.
    pub(crate) gateway: Url,
    /// The node that is trusted.
    pub(crate) rpc: Rpc,
    /// The contract that is trusted; the gateway's, once its code was found to be this release's, when absent.
    pub(crate) ledger: Option<Address>,
    /// What the chain must be, and who says so.
    pub(crate) chains: Vec<(u64, &'static str)>,
    /// Who pays and watches.
    pub(crate) wallet: Wallet,
    /// All that may leave the wallet: payments and gas.
    pub(crate) budget: Wei,
    /// Seconds that are bought at a time.
    pub(crate) term: u64,
    /// Most wei per second; the price at the first start when absent.
    pub(crate) max_price: Option<Wei>,
    /// The listing that was read.
    pub(crate) listing: Option<Hash>,
    /// The streams wanted; all of the feed's when absent.
    pub(crate) streams: Option<Vec<StreamName>>,
    /// Where to begin, before anything was received.
    pub(crate) since: BTreeMap<StreamName, Position>,
    /// How many events to hand on before the end.
    pub(crate) count: Option<u64>,
    /// What happens to time that is left at the end.
    pub(crate) leaving: Leaving,
    /// A command for each event, in the place of stdout.
    pub(crate) exec: Option<String>,
    /// Where the books are.
    pub(crate) state: PathBuf,
    /// How news are told.
    pub(crate) voice: Voice,
}

/// What happens at the end to time that was paid and not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It stays, for the next start.
    Keep,
    /// It is cancelled for the money.
    Cancel,
}
