use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::ids::{Address, FeedId};
use crate::numbers::Wei;

/// All that a machine or a page needs in order to pay for a feed. It is made for open feeds alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The feed.
    pub feed: FeedId,
    /// Price in wei per second.
    pub price: Wei,
    /// Hash of the listing, which `subscribe` must name.
    pub listing: Hash,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Address of the `FeedLedger`.
    pub ledger: Address,
    /// Shortest subscription in seconds.
    pub minimum: u64,
}
