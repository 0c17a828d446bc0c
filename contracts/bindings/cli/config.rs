use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ashya_contracts::{Deployment, Ledger, Rpc, Wallet};
use ashya_protocol::{Address, DeviceKey};
use thiserror::Error;

use super::args::{Args, Command};

/// Environment variable with the wallet's secret key. It is no argument, because arguments are seen by everybody.
const KEY: &str = "ASHYA_KEY";

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Config {
    pub(super) rpc: Rpc,
    key: Option<DeviceKey>,
    ledger: Option<(Address, Option<u64>)>,
}

/// Why the arguments make no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("--rpc: {0}")]
    Rpc(ashya_contracts::ChainError),
    #[error("the key file {}: {reason}", .path.display())]
    KeyFile { path: PathBuf, reason: String },
    #[error("{KEY}: {0}")]
    Key(ashya_protocol::KeyError),
    #[error("the deployment file {}: {reason}", .path.display())]
    Deployment { path: PathBuf, reason: String },
    #[error("name the ledger by --ledger or --deployment")]
    NoLedger,
    #[error("name the wallet's key by --key-file or {KEY}")]
    NoKey,
}

impl Config {
    pub(crate) fn new(args: &Args) -> Result<Self, ConfigError> {
        let config = Self {
            rpc: Rpc::new(&args.rpc).map_err(ConfigError::Rpc)?,
            key: read_key(args)?,
            ledger: match &args.command {
                Command::Deploy(_) => None,
                _ => Some(find_ledger(args)?),
            },
        };
        if config.key.is_none() && !matches!(args.command, Command::Show { .. }) {
            return Err(ConfigError::NoKey);
        }
        Ok(config)
    }

    /// The wallet that signs and pays.
    pub(super) fn wallet(&self) -> Result<Wallet> {
        Ok(Wallet::new(self.key()?.clone()))
    }

    /// The wallet's key, for what is signed without a transaction.
    pub(super) fn key(&self) -> Result<&DeviceKey> {
        self.key.as_ref().context(ConfigError::NoKey)
    }

    /// The wallet's address, where there is one.
    pub(super) fn address(&self) -> Option<Address> {
        self.key.as_ref().map(DeviceKey::address)
    }

    /// The ledger, once it was seen to stand on the chain that its deployment file names.
    pub(super) async fn ledger(&self) -> Result<Ledger> {
        let (address, chain_id) = self.ledger.context(ConfigError::NoLedger)?;
        let ledger = Ledger::connect(self.rpc.clone(), address).await?;
        let actual = ledger.domain().chain_id;
        ensure!(
            chain_id.is_none_or(|expected| expected == actual),
            "the node serves chain {actual}, and the deployment file is of chain {}",
            chain_id.unwrap_or_default()
        );
        Ok(ledger)
    }
}

fn read_key(args: &Args) -> Result<Option<DeviceKey>, ConfigError> {
    if let Some(path) = &args.key_file {
        let failed = |reason: String| ConfigError::KeyFile {
            path: path.clone(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        return DeviceKey::from_hex(&text)
            .map(Some)
            .map_err(|error| failed(error.to_string()));
    }
    match env::var(KEY) {
        Ok(text) => DeviceKey::from_hex(&text)
            .map(Some)
            .map_err(ConfigError::Key),
        Err(_) => Ok(None),
    }
}

fn find_ledger(args: &Args) -> Result<(Address, Option<u64>), ConfigError> {
    if let Some(address) = args.ledger {
        return Ok((address, None));
    }
    let path = args.deployment.as_ref().ok_or(ConfigError::NoLedger)?;
    let failed = |reason: String| ConfigError::Deployment {
        path: path.clone(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let deployment: Deployment =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    Ok((deployment.ledger, Some(deployment.chain_id)))
}
