//! The ABI encoding of Solidity, as far as the ledger needs it: words, and one byte string at the end.
//!
//! Answers are compared as bytes, so that nothing is ever decoded, and nothing here comes from the generated bindings.

use ashya_protocol::{Address, FeedId, Hash, keccak256};

const WORD: usize = 32;

/// One word of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word([u8; WORD]);

impl Word {
    pub(crate) const ZERO: Self = Self([0; WORD]);

    pub(crate) const fn as_bytes(&self) -> &[u8; WORD] {
        &self.0
    }
}

impl From<u128> for Word {
    fn from(value: u128) -> Self {
        let mut word = [0; WORD];
        word[16..].copy_from_slice(&value.to_be_bytes());
        Self(word)
    }
}

impl From<u64> for Word {
    fn from(value: u64) -> Self {
        u128::from(value).into()
    }
}

impl From<Address> for Word {
    fn from(address: Address) -> Self {
        let mut word = [0; WORD];
        word[12..].copy_from_slice(address.as_bytes());
        Self(word)
    }
}

impl From<[u8; WORD]> for Word {
    fn from(bytes: [u8; WORD]) -> Self {
        Self(bytes)
    }
}

impl From<Hash> for Word {
    fn from(hash: Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<FeedId> for Word {
    fn from(feed: FeedId) -> Self {
        Self(*feed.as_bytes())
    }
}

/// Words one after another.
pub(crate) fn join(words: &[Word]) -> Vec<u8> {
    words.iter().flat_map(|word| word.0).collect()
}

/// A call or an error: the selector of `signature`, then its arguments.
pub(crate) fn select(signature: &str, arguments: &[Word]) -> Vec<u8> {
    let mut encoded = keccak256(signature.as_bytes()).as_bytes()[..4].to_vec();
    encoded.extend(join(arguments));
    encoded
}

/// A call whose last argument is a byte string.
pub(crate) fn select_with_bytes(signature: &str, arguments: &[Word], last: &[u8]) -> Vec<u8> {
    let mut encoded = select(signature, arguments);
    let head = (arguments.len() + 1) * WORD;
    encoded.extend(Word::from(head as u64).0);
    encoded.extend(Word::from(last.len() as u64).0);
    encoded.extend(last);
    encoded.resize(
        encoded.len() + last.len().next_multiple_of(WORD) - last.len(),
        0,
    );
    encoded
}
