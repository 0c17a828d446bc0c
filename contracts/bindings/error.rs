use std::fmt;

use ashya_protocol::{Address, Hash, Wei};
use ethers::abi::ethabi::AbiError;
use ethers::abi::{ParamType, Token};
use thiserror::Error;

use crate::abi::FEEDLEDGER_ABI;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the chain could not be read or written.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The address of the node has none of the schemes `http`, `https`, `ws` and `wss`.
    #[error("the scheme {0:?} is not supported: use http, https, ws or wss")]
    Scheme(String),
    /// No endpoint was named.
    #[error("no endpoint of a node is named")]
    NoEndpoint,
    /// The node could not be reached, or did not answer in time or in JSON.
    #[error("the node did not answer a request")]
    Transport(#[source] Source),
    /// The node did not answer in time.
    #[error("the node did not answer a request in time")]
    TimedOut,
    /// The node, or a proxy before it, finds a request or its answer too large (HTTP status 413), or the answer is larger
    /// than is taken here.
    #[error("a request to the node, or its answer, is too large")]
    TooLarge,
    /// The logs that the node gave of a block do not explain the block's Bloom filter, or leave out numbers.
    #[error("the node left out logs of block {number} ({hash})")]
    Incomplete {
        /// Height of the block.
        number: u64,
        /// Its hash.
        hash: Hash,
    },
    /// The node answered with an error.
    #[error("the node refused a request: {message} (code {code})")]
    Rpc {
        /// JSON-RPC code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The ledger refused the call, for a reason that it names.
    #[error("the ledger refused: {0}")]
    Refused(LedgerRefusal),
    /// No contract stands at the ledger's address.
    #[error("there is no contract at {address} on chain {chain_id}")]
    NoContract {
        /// The address.
        address: Address,
        /// The chain that was asked.
        chain_id: u64,
    },
    /// The transaction was mined and reverted, though it would have passed when it was sent.
    #[error("the transaction {transaction} was reverted")]
    Reverted {
        /// The transaction.
        transaction: Hash,
    },
    /// The transaction was sent and its receipt did not come before the deadline. It may still be mined.
    #[error("no receipt of the transaction {transaction} in time: it may still be mined")]
    Timeout {
        /// The transaction.
        transaction: Hash,
    },
    /// The wallet cannot pay what the transaction may cost at most. Nothing was sent.
    #[error("{wallet} has {balance} wei and needs up to {needed} wei")]
    InsufficientFunds {
        /// The wallet.
        wallet: Address,
        /// What it has.
        balance: Wei,
        /// The ETH that goes along, and the most that the gas may cost.
        needed: Wei,
    },
    /// The chain asks more for gas than the wallet allows. Nothing was sent.
    #[error("the chain asks {base_fee} wei for a unit of gas, and the limit is {max_fee}")]
    FeeAboveLimit {
        /// What a unit of gas costs now, without a tip.
        base_fee: Wei,
        /// The most that the wallet pays.
        max_fee: Wei,
    },
    /// The external signer gave no signature, or not the one that it was asked for. Nothing was sent.
    #[error("the signer: {0}")]
    Signer(String),
    /// The chain lacks the proxy by which the ledger gets the same address everywhere.
    #[error("chain {chain_id} has no deterministic deployment proxy at {proxy}")]
    NoProxy {
        /// The chain that was asked.
        chain_id: u64,
        /// Where the proxy would stand.
        proxy: Address,
    },
    /// The contract there is not the ledger of this release.
    #[error("the code at {address} on chain {chain_id} is not the ledger of this release")]
    OtherCode {
        /// The address.
        address: Address,
        /// The chain that was asked.
        chain_id: u64,
    },
    /// The node has forgotten the old states of the chain, by which the block of a deployment is found.
    #[error("the node cannot tell in which block {address} was deployed")]
    NoHistory {
        /// The address.
        address: Address,
        /// What the node said.
        #[source]
        source: Box<ChainError>,
    },
    /// The answer of the node makes no sense.
    #[error("unexpected answer of the node: {0}")]
    UnexpectedAnswer(String),
    /// A price times a duration outgrows what can be paid.
    #[error("the payment is too large")]
    PaymentTooLarge,
}

/// A custom error of the ledger, by name and with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRefusal {
    /// Name of the Solidity error, such as `PriceAboveMax`.
    pub name: String,
    /// Its values, such as `price: 5, maxPrice: 4`.
    pub detail: String,
}

impl ChainError {
    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::UnexpectedAnswer(what.into())
    }
}

impl From<ethers::abi::Error> for ChainError {
    fn from(error: ethers::abi::Error) -> Self {
        Self::unexpected(error.to_string())
    }
}

impl LedgerRefusal {
    /// Reads revert data: an error of the ledger, or one of the two that Solidity knows.
    pub(crate) fn decode(data: &[u8]) -> Option<Self> {
        let (selector, values) = data.split_at_checked(4)?;
        match selector {
            [0x08, 0xc3, 0x79, 0xa0] => builtin("Error", "reason", ParamType::String, values),
            [0x4e, 0x48, 0x7b, 0x71] => builtin("Panic", "code", ParamType::Uint(256), values),
            _ => {
                let error = FEEDLEDGER_ABI
                    .errors()
                    .find(|error| error.signature()[..4] == *selector)?;
                Some(Self {
                    name: error.name.clone(),
                    detail: describe(error, &error.decode(values).ok()?),
                })
            }
        }
    }
}

impl fmt::Display for LedgerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.detail)
    }
}

fn builtin(name: &str, value: &str, kind: ParamType, data: &[u8]) -> Option<LedgerRefusal> {
    let tokens = ethers::abi::decode(&[kind], data).ok()?;
    Some(LedgerRefusal {
        name: name.to_owned(),
        detail: format!("{value}: {}", show(tokens.first()?)),
    })
}

fn describe(error: &AbiError, tokens: &[Token]) -> String {
    let values = error.inputs.iter().zip(tokens);
    values
        .map(|(input, token)| format!("{}: {}", input.name, show(token)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn show(token: &Token) -> String {
    match token {
        Token::Uint(number) => number.to_string(),
        Token::Address(_) | Token::FixedBytes(_) | Token::Bytes(_) => format!("0x{token}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(value: u64) -> [u8; 32] {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&value.to_be_bytes());
        word
    }

    #[test]
    fn refusals_have_a_name_and_values() {
        let selector = FEEDLEDGER_ABI.error("PriceAboveMax").unwrap().signature();
        let data = [&selector[..4], &word(5), &word(4)].concat();
        let refusal = LedgerRefusal::decode(&data).unwrap();
        assert_eq!(refusal.to_string(), "PriceAboveMax(price: 5, maxPrice: 4)");
        let panic = [&[0x4e, 0x48, 0x7b, 0x71][..], &word(17)].concat();
        assert_eq!(
            LedgerRefusal::decode(&panic).unwrap().to_string(),
            "Panic(code: 17)"
        );
    }

    #[test]
    fn other_data_is_no_refusal() {
        let selector = FEEDLEDGER_ABI.error("PriceAboveMax").unwrap().signature();
        for data in [&[][..], &[1, 2, 3], &[0; 36], &selector[..4]] {
            assert_eq!(LedgerRefusal::decode(data), None);
        }
    }
}
