//! Configuration: defaults, then the TOML file, then flags and environment, into one checked [`Config`].

mod args;
mod auth;
mod chain;
mod checks;
mod data;
mod devices;
mod history;
mod http;
mod log;
mod metrics;
mod mqtt;
mod outage;
mod settings;
mod socket;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::defaults::LOCAL_CHAIN_ID;
use crate::entrance::TlsConfig;
use crate::registration_policy::RegistrationPolicy;
use crate::socket::SocketPolicy;

pub use args::{Args, Command, DataArgs, DeviceArgs, FileArgs, OperatorCommand, RunArgs};
pub use auth::AuthConfig;
pub use chain::{ChainConfig, LedgerSource};
pub(crate) use history::HistoryConfig;
pub use http::HttpConfig;
pub use log::LogFormat;
pub use mqtt::MqttConfig;
pub(crate) use outage::OutageConfig;
pub use settings::Settings;

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// REST, websocket and page.
    pub http: HttpConfig,
    /// Who may open websockets.
    pub sockets: SocketPolicy,
    /// The embedded broker.
    pub mqtt: MqttConfig,
    /// What the listeners of REST, websocket and MQTT show; they speak in the clear where there is none.
    pub tls: Option<TlsConfig>,
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
    /// What is kept for whoever comes back.
    pub history: HistoryConfig,
    /// Pauses for silent devices; none where no wallet is given.
    pub outage: Option<OutageConfig>,
    /// Form of the log.
    pub log: LogFormat,
    /// Whether the page offers wallets with play money; on chain 31337 only.
    pub demo: bool,
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
