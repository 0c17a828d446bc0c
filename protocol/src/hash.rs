use sha3::{Digest, Keccak256};

use crate::hexbytes::hex_newtype;

hex_newtype! {
    /// A Keccak-256 or block hash.
    Hash, 32
}

impl Hash {
    /// Thirty-two zero bytes.
    pub const ZERO: Self = Self::new([0; 32]);
}

/// Keccak-256 as Ethereum uses it (not NIST SHA3-256).
pub fn keccak256(bytes: &[u8]) -> Hash {
    Hash::new(Keccak256::digest(bytes).into())
}
