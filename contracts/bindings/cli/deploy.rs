use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ashya_contracts::{ChainError, Deployment, Ledger};

use super::args::DeployArgs;
use super::config::Config;
use super::outcome::Outcome;

pub(super) async fn deploy(config: &Config, args: &DeployArgs) -> Result<Outcome> {
    if args.if_missing
        && let Some(out) = &args.out
        && let Some(standing) = standing(config, out).await?
    {
        return tell(&standing, "kept");
    }
    let deployment = Ledger::deploy(config.rpc.clone(), &config.wallet()?).await?;
    if let Some(out) = &args.out {
        write(out, &deployment)?;
    }
    tell(&deployment, "deployed")
}

fn tell(deployment: &Deployment, what: &str) -> Result<Outcome> {
    Ok(Outcome::new(deployment)?
        .line(what, &deployment.ledger)
        .line("chain", &deployment.chain_id)
        .line("block", &deployment.block))
}

/// The deployment of the file, if its ledger stands on the node's chain.
async fn standing(config: &Config, path: &Path) -> Result<Option<Deployment>> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(None);
    };
    let deployment: Deployment = serde_json::from_str(&text)
        .with_context(|| format!("the deployment file {}", path.display()))?;
    match Ledger::connect(config.rpc.clone(), deployment.ledger).await {
        Ok(ledger) if ledger.domain().chain_id == deployment.chain_id => Ok(Some(deployment)),
        Ok(_) | Err(ChainError::NoContract { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whoever waits for the file must not read half of it.
fn write(path: &Path, deployment: &Deployment) -> Result<()> {
    let text = serde_json::to_string(deployment)?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    fs::write(&partial, format!("{text}\n"))
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("the deployment file {}", path.display()))
}
