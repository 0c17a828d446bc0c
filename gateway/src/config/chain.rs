use std::path::PathBuf;
use std::time::Duration;

use ashya_contracts::Deployment;
use ashya_protocol::Address;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::ConfigError;
use super::checks::{choose, milliseconds, positive, read_file, refuse};
use crate::chain::Pace;
use crate::chain_clock::{ClockSource, Freshness};
use crate::defaults::{
    BLOCKS_PER_REQUEST, JOURNAL_BLOCKS, LOCAL_CHAIN_ID, MAX_HEAD_AGE, MAX_SILENCE,
};

/// The chain and the ledger.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// JSON-RPC endpoints that the gateway asks, in the order in which they are tried.
    pub rpc: Vec<Url>,
    /// JSON-RPC endpoint that browsers are told.
    pub public_rpc: Option<Url>,
    /// Name for people; by chain id when absent.
    pub name: Option<String>,
    /// The ledger.
    pub ledger: LedgerSource,
    /// Which clock decides about access.
    pub clock: ClockSource,
    /// Time between looks at the head; by chain when absent.
    pub poll: Option<Duration>,
    /// Most blocks in one request for logs.
    pub blocks_per_request: u64,
    /// Most blocks that a reorganisation may take back without a replay from the deployment.
    pub journal_blocks: usize,
    /// Oldest head before the view of the chain no longer counts as current; by chain when absent.
    pub max_head_age: Option<Duration>,
}

/// Where the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerSource {
    /// All is known.
    Deployment(Deployment),
    /// The node is asked for its chain id.
    Address {
        /// The contract.
        ledger: Address,
        /// The block in which it was deployed.
        block: u64,
    },
}

/// The chain and the ledger, before they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChainSettings {
    #[serde(deserialize_with = "one_or_many")]
    pub(super) rpc: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_rpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deployment: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ledger: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deployment_block: Option<u64>,
    pub(super) clock: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_milliseconds: Option<u64>,
    blocks_per_request: u64,
    journal_blocks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_head_age_seconds: Option<u64>,
}

impl ChainConfig {
    /// How often the nodes are asked for their heads.
    pub(crate) fn pace_on(&self, chain_id: u64) -> Pace {
        match self.poll {
            Some(poll) => Pace::every(poll),
            None if chain_id == LOCAL_CHAIN_ID => Pace::local(),
            None => Pace::public(),
        }
    }

    /// When the view of the chain counts as current.
    pub(crate) fn freshness_on(&self, chain_id: u64) -> Freshness {
        // A local chain makes no block while nothing happens, so the age of its head says nothing.
        let usual = (chain_id != LOCAL_CHAIN_ID).then_some(MAX_HEAD_AGE);
        Freshness {
            max_silence: MAX_SILENCE,
            max_head_age: self.max_head_age.or(usual),
        }
    }

    /// The chain's name for people.
    pub(crate) fn name_of(&self, chain_id: u64) -> String {
        let known = match chain_id {
            1 => "Ethereum",
            10 => "OP Mainnet",
            8453 => "Base",
            42_161 => "Arbitrum One",
            11_155_111 => "Sepolia",
            LOCAL_CHAIN_ID => "Local test chain",
            _ => return self.name.clone().unwrap_or(format!("Chain {chain_id}")),
        };
        self.name.clone().unwrap_or_else(|| known.to_owned())
    }
}

impl ChainSettings {
    pub(super) fn check(self) -> Result<ChainConfig, ConfigError> {
        let poll = self.poll_milliseconds;
        let public_rpc = self.public_rpc.as_ref();
        Ok(ChainConfig {
            ledger: self.ledger_source()?,
            rpc: check_nodes("chain.rpc", &self.rpc)?,
            public_rpc: public_rpc
                .map(|url| check_http("chain.public_rpc", url))
                .transpose()?,
            name: self.name,
            clock: choose("chain.clock", &self.clock, ["wall", "head"])?,
            poll: poll
                .map(|poll| milliseconds("chain.poll_milliseconds", poll))
                .transpose()?,
            blocks_per_request: positive("chain.blocks_per_request", self.blocks_per_request)?,
            journal_blocks: positive("chain.journal_blocks", self.journal_blocks)?,
            max_head_age: self.max_head_age_seconds.map(Duration::from_secs),
        })
    }

    fn ledger_source(&self) -> Result<LedgerSource, ConfigError> {
        if let Some(path) = &self.deployment {
            let deployment: Deployment =
                serde_json::from_str(&read_file(path)?).map_err(|source| {
                    ConfigError::Deployment {
                        path: path.clone(),
                        source,
                    }
                })?;
            return Ok(LedgerSource::Deployment(deployment));
        }
        match (self.ledger, self.deployment_block) {
            (Some(ledger), Some(block)) => Ok(LedgerSource::Address { ledger, block }),
            _ => Err(ConfigError::NoLedger),
        }
    }
}

/// Takes a single address for a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn check_nodes(name: &'static str, texts: &[String]) -> Result<Vec<Url>, ConfigError> {
    if texts.is_empty() {
        return Err(refuse(name, "must name a node"));
    }
    let checked = texts.iter().map(|text| {
        let url = Url::parse(text).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss") && url.has_host())
            .ok_or_else(|| refuse(name, "must be an http, https, ws or wss address"))
    });
    checked.collect()
}

fn check_http(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| refuse(name, "must be an http or https address"))
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            rpc: vec!["http://127.0.0.1:8545".into()],
            public_rpc: None,
            name: None,
            deployment: None,
            ledger: None,
            deployment_block: None,
            clock: "wall".into(),
            poll_milliseconds: None,
            blocks_per_request: BLOCKS_PER_REQUEST,
            journal_blocks: JOURNAL_BLOCKS,
            max_head_age_seconds: None,
        }
    }
}
