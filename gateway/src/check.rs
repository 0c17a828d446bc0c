//! `ashya-gateway check`: whether the gateway would run, and what is in its way.

use ashya_contracts::{ChainError, Ledger, Rpc};
use thiserror::Error;

use crate::api::Chained;
use crate::config::Config;
use crate::data_folder;
use crate::server::{ServerError, resolve};
use crate::store::Store;

/// What is wrong with the chain.
#[derive(Debug, Error)]
enum CheckError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the ledger cannot be read")]
    Chain(#[from] ChainError),
    #[error("the node is on chain {found}, the deployment on chain {expected}")]
    OtherChain { found: u64, expected: u64 },
}

/// Checks store and chain of a configuration that is itself in order, printing a line for each. True when all is well.
pub async fn check(config: &Config) -> bool {
    println!("config   ok");
    let store = report("store", check_store(config));
    report("chain", check_chain(config).await) && store
}

fn check_store(config: &Config) -> Result<String, ServerError> {
    data_folder::prepare(&config.data)?;
    Store::open(&config.data.join("store"))?;
    Ok("ok".into())
}

async fn check_chain(config: &Config) -> Result<String, CheckError> {
    let rpc = Rpc::any_of(&config.chain.rpc)?;
    let deployment = resolve(config, &rpc).await?;
    let ledger = Ledger::connect(rpc, deployment.ledger).await?;
    let found = ledger.domain().chain_id;
    if found != deployment.chain_id {
        return Err(CheckError::OtherChain {
            found,
            expected: deployment.chain_id,
        });
    }
    let head = ledger.rpc().latest().await?;
    Ok(format!(
        "ok: ledger {} on chain {found}, head {}",
        deployment.ledger, head.number
    ))
}

fn report<E: std::error::Error>(what: &str, outcome: Result<String, E>) -> bool {
    match outcome {
        Ok(words) => {
            println!("{what:8} {words}");
            true
        }
        Err(error) => {
            println!("{what:8} FAILED: {}", Chained(&error));
            false
        }
    }
}
