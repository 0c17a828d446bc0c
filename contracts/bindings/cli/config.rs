use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_contracts::{Deployment, KeySourceError, Ledger, Release, Rpc, Wallet};
use ashya_protocol::Address;
use thiserror::Error;
use url::{Position, Url};

use super::args::{Args, Command, KeyCommand};
use super::progress;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Config {
    pub(super) rpc: Rpc,
    /// The node without what may be a password: scheme, host and port.
    pub(super) node: String,
    wallet: Option<Wallet>,
    ledger: Option<Address>,
    /// What the chain must be, and who says so.
    chain: Vec<(u64, &'static str)>,
}

/// Why the arguments make no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("--rpc: {0}")]
    Rpc(ashya_contracts::ChainError),
    #[error(transparent)]
    Key(#[from] KeySourceError),
    #[error("the deployment file {}: {reason}", .path.display())]
    Deployment { path: PathBuf, reason: String },
    #[error("name the ledger by --ledger or --deployment")]
    NoLedger,
    #[error("name the wallet's key by --keystore, --key-file, --signer with --from, or ASHYA_KEY")]
    NoKey,
}

impl Config {
    pub(crate) fn new(args: &Args) -> Result<Self, ConfigError> {
        let mut chain: Vec<_> = args
            .chain_id
            .map(|id| (id, "--chain-id"))
            .into_iter()
            .collect();
        let ledger = match &args.command {
            Command::Deploy(_) | Command::Key(_) => None,
            Command::Verify(_) => {
                Some(find_ledger(args, &mut chain)?.unwrap_or_else(Release::address))
            }
            _ => Some(find_ledger(args, &mut chain)?.ok_or(ConfigError::NoLedger)?),
        };
        let rpc = Rpc::new(&args.rpc).map_err(ConfigError::Rpc)?;
        let wallet = match &args.command {
            Command::Key(KeyCommand::New { .. }) | Command::Verify(_) => None,
            command => {
                let wallet = args.keys.wallet()?;
                if wallet.is_none() && !matches!(command, Command::Show { .. }) {
                    return Err(ConfigError::NoKey);
                }
                wallet
            }
        };
        Ok(Self {
            rpc,
            node: without_secrets(&args.rpc),
            wallet: wallet.map(|wallet| equip(wallet, args)),
            ledger,
            chain,
        })
    }

    /// The wallet that signs and pays.
    pub(super) fn wallet(&self) -> Result<&Wallet> {
        self.wallet.as_ref().context(ConfigError::NoKey)
    }

    /// The wallet's address, where there is one.
    pub(super) fn address(&self) -> Option<Address> {
        self.wallet.as_ref().map(Wallet::address)
    }

    /// Where the ledger is said to stand.
    pub(super) fn ledger_address(&self) -> Result<Address> {
        self.ledger.context(ConfigError::NoLedger)
    }

    /// The ledger, once it was seen to stand on the chain that is meant.
    pub(super) async fn ledger(&self) -> Result<Ledger> {
        self.chain_id().await?;
        Ok(Ledger::connect(self.rpc.clone(), self.ledger_address()?).await?)
    }

    /// The chain that the node serves, once it was seen to be the one that is meant.
    pub(super) async fn chain_id(&self) -> Result<u64> {
        let actual = self.rpc.chain_id().await?;
        for (expected, said_by) in &self.chain {
            ensure!(
                *expected == actual,
                "the node at {} serves chain {actual}, and {said_by} names chain {expected}",
                self.node
            );
        }
        Ok(actual)
    }
}

fn equip(wallet: Wallet, args: &Args) -> Wallet {
    let wallet = wallet
        .with_patience(Duration::from_secs(args.timeout))
        .with_watcher(progress::tell);
    match args.max_fee_gwei {
        Some(most) => wallet.with_max_fee(most),
        None => wallet,
    }
}

fn without_secrets(url: &Url) -> String {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    format!("{}://{host}", url.scheme())
}

fn find_ledger(
    args: &Args,
    chain: &mut Vec<(u64, &'static str)>,
) -> Result<Option<Address>, ConfigError> {
    if let Some(address) = args.ledger {
        return Ok(Some(address));
    }
    let Some(path) = &args.deployment else {
        return Ok(None);
    };
    let failed = |reason: String| ConfigError::Deployment {
        path: path.clone(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let deployment: Deployment =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    chain.push((deployment.chain_id, "the deployment file"));
    Ok(Some(deployment.ledger))
}
