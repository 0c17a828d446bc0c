use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ashya_contracts::{ChainError, Deployed, Deployment, Ledger, Release, show_eth};

use super::args::DeployArgs;
use super::config::Config;
use super::outcome::Outcome;

pub(super) async fn deploy(config: &Config, args: &DeployArgs) -> Result<Outcome> {
    let chain_id = config.chain_id().await?;
    if args.if_missing
        && let Some(out) = &args.out
        && let Some(deployment) = kept(config, chain_id, out).await?
    {
        return tell("kept", standing(deployment), args);
    }
    let wallet = config.wallet()?;
    let balance = config.rpc.balance(wallet.address()).await?;
    eprintln!(
        "chain {chain_id} at {}, deployer {} with {}",
        config.node,
        wallet.address(),
        show_eth(balance)
    );
    let (what, deployed) = if args.without_create2 {
        ("deployed", Ledger::deploy_plain(&config.rpc, wallet).await?)
    } else {
        eprintln!("ledger {}, the same on every chain", Release::address());
        match find(config, args).await? {
            Some(deployment) => ("stands already", standing(deployment)),
            None => deploy_deterministic(config, args).await?,
        }
    };
    if let Some(out) = &args.out {
        write(out, &deployed.deployment)?;
    }
    tell(what, deployed, args)
}

async fn deploy_deterministic(
    config: &Config,
    args: &DeployArgs,
) -> Result<(&'static str, Deployed)> {
    let error = match Ledger::deploy_deterministic(&config.rpc, config.wallet()?).await {
        Ok(deployed) => return Ok(("deployed", deployed)),
        Err(error) => error,
    };
    // Anybody may deploy it, so somebody may have come first: then the proxy refuses, and all is well.
    let refused = matches!(
        error,
        ChainError::Refused(_) | ChainError::Rpc { .. } | ChainError::Reverted { .. }
    );
    match refused {
        true => match find(config, args).await? {
            Some(deployment) => Ok(("stands already", standing(deployment))),
            None => Err(error.into()),
        },
        false => Err(error.into()),
    }
}

/// The ledger at the address that it has on every chain, if it stands there.
async fn find(config: &Config, args: &DeployArgs) -> Result<Option<Deployment>> {
    let domain = match Ledger::verify(&config.rpc, Release::address()).await {
        Ok(domain) => domain,
        Err(ChainError::NoContract { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let block = match args.block {
        Some(block) => block,
        None => Ledger::deployment_block(&config.rpc, domain.ledger).await?,
    };
    Ok(Some(Deployment {
        chain_id: domain.chain_id,
        ledger: domain.ledger,
        block,
    }))
}

/// The deployment of the file, if its ledger stands on the node's chain.
async fn kept(config: &Config, chain_id: u64, path: &Path) -> Result<Option<Deployment>> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(None);
    };
    let deployment: Deployment = serde_json::from_str(&text)
        .with_context(|| format!("the deployment file {}", path.display()))?;
    if deployment.chain_id != chain_id {
        return Ok(None);
    }
    match Ledger::connect(config.rpc.clone(), deployment.ledger).await {
        Ok(_) => Ok(Some(deployment)),
        Err(ChainError::NoContract { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn standing(deployment: Deployment) -> Deployed {
    Deployed {
        deployment,
        receipt: None,
    }
}

fn tell(what: &str, deployed: Deployed, args: &DeployArgs) -> Result<Outcome> {
    let Deployed {
        deployment,
        receipt,
    } = deployed;
    let mut outcome = Outcome::new(&deployed)?
        .line(what, &deployment.ledger)
        .line("chain", &deployment.chain_id)
        .line("block", &deployment.block);
    if let Some(receipt) = receipt {
        outcome = outcome
            .line("transaction", &receipt.transaction)
            .line("fee", &show_eth(receipt.fee))
            .line("code", &"this release's, to the byte");
    }
    Ok(match &args.out {
        Some(out) => outcome.line("written", &out.display()).next(format!(
            "ashya-gateway run --deployment {0}; for a block explorer: ashya-ledger --deployment {0} verify --out \
             FeedLedger.standard-input.json",
            out.display()
        )),
        None => outcome.next("deploy --out deployment.json writes the file for gateway and page; it costs nothing now"),
    })
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
