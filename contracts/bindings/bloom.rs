use std::fmt;

use ashya_protocol::keccak256;

/// Bytes of a filter.
const BYTES: usize = 256;

/// The Bloom filter of a block's logs (Yellow Paper, 4.3.1): three of 2,048 bits for the address and each topic of
/// every log. It may say yes wrongly, never no.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogsBloom([u8; BYTES]);

impl LogsBloom {
    /// The filter of no logs.
    pub const EMPTY: Self = Self([0; BYTES]);

    /// The filter of these bits, the highest first.
    pub const fn new(bits: [u8; BYTES]) -> Self {
        Self(bits)
    }

    /// The bits, the highest first.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Adds an address or a topic.
    pub fn add(&mut self, value: &[u8]) {
        for (byte, bit) in bits(value) {
            self.0[byte] |= bit;
        }
    }

    /// Whether an address or a topic may have been added.
    pub fn may_hold(&self, value: &[u8]) -> bool {
        bits(value)
            .iter()
            .all(|&(byte, bit)| self.0[byte] & bit != 0)
    }

    /// Whether all bits of another filter are set here too.
    pub fn explains(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(own, other)| own & other == *other)
    }
}

impl fmt::Debug for LogsBloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "LogsBloom({bits} bits)")
    }
}

/// The bytes and bits of a value: the low 11 bits of the first three pairs of bytes of its hash.
fn bits(value: &[u8]) -> [(usize, u8); 3] {
    let hash = keccak256(value);
    let pair = |at: usize| u16::from_be_bytes([hash.as_bytes()[at], hash.as_bytes()[at + 1]]);
    [0, 2, 4].map(|at| {
        let bit = usize::from(pair(at) % 2048);
        (BYTES - 1 - bit / 8, 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_filter() {
        // The bits of an address as ethers sets them, which follows the published vectors.
        for address in [[0x5f; 20], [0; 20], [0xff; 20]] {
            let mut known = ethers::types::Bloom::default();
            known.accrue(ethers::abi::ethereum_types::BloomInput::Raw(&address));
            let mut ours = LogsBloom::EMPTY;
            ours.add(&address);
            assert_eq!(ours.as_bytes(), known.as_fixed_bytes());
        }
    }

    #[test]
    fn what_was_added_is_held_and_explained() {
        let (mut one, mut both) = (LogsBloom::EMPTY, LogsBloom::EMPTY);
        one.add(b"one");
        both.add(b"one");
        both.add(b"two");
        assert!(one.may_hold(b"one") && !one.may_hold(b"two"));
        assert!(both.explains(&one) && !one.explains(&both));
        assert!(one.explains(&LogsBloom::EMPTY) && !LogsBloom::EMPTY.explains(&one));
        assert!(!LogsBloom::EMPTY.may_hold(b"one"));
    }
}
