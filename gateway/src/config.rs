//! Configuration: defaults, then the TOML file, then flags and environment, into one checked [`Config`].

mod args;
mod outage;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ashya_contracts::Deployment;
use ashya_protocol::Address;
use http::HeaderValue;
use thiserror::Error;
use url::Url;

use crate::auth::client::Proxies;
use crate::auth::rates::RateConfig;
use crate::bridge::BridgeAddress;
use crate::chain_clock::{ClockSource, Freshness};
use crate::defaults::{LOCAL_CHAIN_ID, LOCAL_POLL, MAX_HEAD_AGE, MAX_SILENCE, PUBLIC_POLL};
use crate::registry::RegistrationPolicy;
use crate::socket::SocketPolicy;

pub use args::{Args, Command, DataArgs, DeviceArgs, FileArgs, OperatorCommand, RunArgs};
pub(crate) use outage::OutageConfig;
pub use settings::{LogFormat, Settings};

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// REST, websocket and page.
    pub http: HttpConfig,
    /// Who may open websockets.
    pub sockets: SocketPolicy,
    /// The embedded broker.
    pub mqtt: MqttConfig,
    /// Where metrics are served.
    pub metrics_listen: SocketAddr,
    /// The folder for the store and `addresses.json`.
    pub data: PathBuf,
    /// The chain and the ledger.
    pub chain: ChainConfig,
    /// Most devices that may register, those that were taken off included.
    pub max_devices: usize,
    /// Whose devices are taken.
    pub registration: RegistrationPolicy,
    /// Time between exports of the store; none when zero.
    pub export_every: Duration,
    /// Sessions and passwords, and how many of them.
    pub auth: AuthConfig,
    /// Pauses for silent devices; none where no wallet is given.
    pub outage: Option<OutageConfig>,
    /// Form of the log.
    pub log: LogFormat,
    /// Whether the page offers wallets with play money; on chain 31337 only.
    pub demo: bool,
}

/// REST, websocket and page.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Domains for which wallets may sign in; none means the listener's own address and `localhost`.
    pub domains: Vec<String>,
    /// Origins of other sites' pages that may use the REST interface.
    pub cors_origins: Vec<HeaderValue>,
    /// Longest time to the head of an answer.
    pub request_timeout: Duration,
    /// Proxies in front of the gateway.
    pub proxies: Proxies,
}

/// Sessions and passwords, and how many of them.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// File of the key that the fleet shares; one in the data folder when absent.
    pub key_file: Option<PathBuf>,
    /// How long wallets' sessions last.
    pub session_lifetime: Duration,
    /// How long devices' MQTT passwords last.
    pub device_password_lifetime: Duration,
    /// Sockets and event streams that one wallet may have open.
    pub sockets_per_wallet: usize,
    /// How often a client may ask.
    pub rates: RateConfig,
}

/// The embedded broker.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What devices are told instead of the host that they reached by REST.
    pub public_host: Option<String>,
    /// What devices are told instead of the listener's port.
    pub public_port: Option<u16>,
    /// A broker of the owner's own, from which events are taken too.
    pub bridge: Option<BridgeAddress>,
}

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

/// Why a configuration is refused; one line for the operator.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is not what it should be.
    #[error("{path}: {reason}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The deployment file is not what it should be.
    #[error("{path} is not a deployment file")]
    Deployment {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Nothing says where the ledger is.
    #[error(
        "no ledger: give --deployment FILE, or --ledger ADDRESS with --deployment-block NUMBER"
    )]
    NoLedger,
    /// Play money on a real chain.
    #[error(
        "--demo offers wallets with known keys and works on chain {LOCAL_CHAIN_ID} only, not on {0}"
    )]
    Demo(u64),
    /// A value is out of range.
    #[error("{name}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it must be.
        reason: String,
    },
}

impl Config {
    /// Reads the file that the arguments name, lays arguments and environment over it, and checks the result.
    ///
    /// # Errors
    /// When something is missing, malformed or not allowed.
    pub fn load(args: RunArgs) -> Result<Self, ConfigError> {
        let mut settings = match &args.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        settings.overlay(args);
        settings.check()
    }
}

impl ChainConfig {
    /// Time between looks at the head.
    pub(crate) fn poll_on(&self, chain_id: u64) -> Duration {
        let usual = if chain_id == LOCAL_CHAIN_ID {
            LOCAL_POLL
        } else {
            PUBLIC_POLL
        };
        self.poll.unwrap_or(usual)
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

/// Refuses play money on a real chain.
///
/// # Errors
/// When `demo` is asked for on any chain but 31337.
pub(crate) fn check_demo(demo: bool, chain_id: u64) -> Result<(), ConfigError> {
    if demo && chain_id != LOCAL_CHAIN_ID {
        return Err(ConfigError::Demo(chain_id));
    }
    Ok(())
}

/// The secret keys of anvil's well-known accounts 7, 8 and 9 (mnemonic "test test … junk"), which hold play money
/// on every fresh local chain. The earlier accounts are left to whoever deploys and owns feeds there.
pub(crate) const DEMO_KEYS: [&str; 3] = [
    "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

#[cfg(test)]
mod tests;
