//! Between the types of ethers and those of the protocol.

use ashya_protocol::{Address, FeedName, Hash, Wei};
use ethers::types::{H160, H256, U256};

use crate::error::ChainError;

pub(crate) fn to_h160(address: Address) -> H160 {
    H160(*address.as_bytes())
}

pub(crate) fn address(value: H160) -> Address {
    Address::new(value.0)
}

pub(crate) fn to_h256(hash: Hash) -> H256 {
    H256(*hash.as_bytes())
}

/// The address, unless it is zero, by which the ledger says "nobody".
pub(crate) fn somebody(value: H160) -> Option<Address> {
    (!value.is_zero()).then(|| address(value))
}

pub(crate) fn hash(value: H256) -> Hash {
    Hash::new(value.0)
}

pub(crate) fn wei(value: U256) -> Result<Wei, ChainError> {
    u128::try_from(value)
        .map(Wei::new)
        .map_err(|_| ChainError::unexpected(format!("{value} wei are more than there can be")))
}

pub(crate) fn uint64(value: impl Into<U256>) -> Result<u64, ChainError> {
    let value = value.into();
    u64::try_from(value).map_err(|_| ChainError::unexpected(format!("{value} exceeds 64 bits")))
}

/// The ledger's word for "none" is zero.
pub(crate) fn non_zero(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

pub(crate) fn feed_name(bytes: &[u8; 32]) -> Result<FeedName, ChainError> {
    FeedName::from_bytes32(bytes)
        .map_err(|error| ChainError::unexpected(format!("the name of a feed: {error}")))
}
