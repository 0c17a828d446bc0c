//! The contract as this release has it: what it is on a chain, and what an explorer needs to verify it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ashya_protocol::{Address, Domain, Hash, keccak256};
use serde::Deserialize;

use crate::abi::FEEDLEDGER_BYTECODE;
use crate::convert::to_h160;

/// The deterministic deployment proxy of Arachnid, which was put on most chains by one and the same keyless transaction.
pub(crate) const PROXY: Address = Address::new([
    0x4e, 0x59, 0xb4, 0x48, 0x47, 0xb3, 0x79, 0x57, 0x85, 0x88, 0x92, 0x0c, 0xa7, 0x8f, 0xbf, 0x26,
    0xc0, 0xb4, 0x95, 0x6c,
]);
/// Its whole code: it passes the salt and the rest of its input to CREATE2, and answers with the address.
const PROXY_CODE: &str = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";
/// Salt of every deployment through the proxy. Whoever deploys the same release meets at the same address.
pub(crate) const SALT: [u8; 32] = *b"Ashya FeedLedger, version 1\0\0\0\0\0";

/// The texts of the ledger's EIP-712 domain.
pub(crate) const DOMAIN_NAME: &str = "Ashya";
pub(crate) const DOMAIN_VERSION: &str = "1";

const RUNTIME: &str = include_str!("../abi/FeedLedger.runtime.json");
const STANDARD_INPUT: &str = include_str!("../abi/FeedLedger.standard-input.json");

/// The ledger of this release: one bytecode without constructor arguments.
#[derive(Debug, Clone, Copy)]
pub struct Release;

#[derive(Deserialize)]
struct Runtime {
    contract: String,
    compiler: String,
    code: String,
    /// Where the constructor writes the values of the immutable variables, a 32-byte word each.
    immutables: BTreeMap<String, Vec<usize>>,
}

static FILE: LazyLock<Runtime> =
    LazyLock::new(|| serde_json::from_str(RUNTIME).expect("the build wrote a valid file"));

impl Release {
    /// Name of the contract as explorers ask for it: `path:name`.
    pub fn contract() -> &'static str {
        &FILE.contract
    }

    /// Version of the compiler with its commit, as explorers list it.
    pub fn compiler() -> &'static str {
        &FILE.compiler
    }

    /// Standard-JSON input of the compiler, which gives exactly this bytecode.
    pub const fn standard_input() -> &'static str {
        STANDARD_INPUT
    }

    /// Where the deterministic proxy puts the ledger, on every chain (EIP-1014).
    pub fn address() -> Address {
        let mut bytes = vec![0xff];
        bytes.extend_from_slice(to_h160(PROXY).as_bytes());
        bytes.extend_from_slice(&SALT);
        bytes.extend_from_slice(keccak256(&FEEDLEDGER_BYTECODE).as_bytes());
        let mut address = [0; 20];
        address.copy_from_slice(&keccak256(&bytes).as_bytes()[12..]);
        Address::new(address)
    }

    /// The code that stands on the chain where this release was deployed.
    pub fn code(domain: &Domain) -> Vec<u8> {
        let file = &*FILE;
        let digits = file.code.trim_start_matches("0x");
        let mut code = hex::decode(digits).expect("the build wrote hexadecimal digits");
        for (name, places) in &file.immutables {
            let value = immutable(name, domain);
            for place in places {
                code[*place..place + value.len()].copy_from_slice(&value);
            }
        }
        code
    }
}

/// Whether this is the code of the deterministic proxy, and not something else that somebody put there.
pub(crate) fn is_proxy(code: &[u8]) -> bool {
    hex::encode(code) == PROXY_CODE
}

/// What OpenZeppelin's `EIP712` keeps of its domain.
fn immutable(name: &str, domain: &Domain) -> [u8; 32] {
    let mut word = [0; 32];
    match name {
        "_cachedChainId" => word[24..].copy_from_slice(&domain.chain_id.to_be_bytes()),
        "_cachedThis" => word[12..].copy_from_slice(domain.ledger.as_bytes()),
        "_cachedDomainSeparator" => word = hashed(domain.separator()),
        "_hashedName" => word = hashed(keccak256(DOMAIN_NAME.as_bytes())),
        "_hashedVersion" => word = hashed(keccak256(DOMAIN_VERSION.as_bytes())),
        "_name" => word = short_string(DOMAIN_NAME),
        "_version" => word = short_string(DOMAIN_VERSION),
        other => unreachable!("a test deploys the contract, so it knows {other}"),
    }
    word
}

fn hashed(hash: Hash) -> [u8; 32] {
    *hash.as_bytes()
}

/// OpenZeppelin's `ShortString`: the text from the left, its length in the last byte.
fn short_string(text: &str) -> [u8; 32] {
    let mut word = [0; 32];
    word[..text.len()].copy_from_slice(text.as_bytes());
    word[31] = u8::try_from(text.len()).expect("the texts of the domain are short");
    word
}
