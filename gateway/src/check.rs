//! `ashya-gateway check`: whether the gateway would run, and what is in its way.

use ashya_contracts::{ChainError, Ledger, Rpc};
use thiserror::Error;

use crate::auth::fleet_key;
use crate::chained::Chained;
use crate::config::Config;
use crate::data_folder;
use crate::entrance::{Lifetime, Tls, TlsError};
use crate::file_limit::FileLimit;
use crate::operator::is_served;
use crate::server::{ServerError, refuse_other_chain, resolve};
use crate::store::Store;

/// What is wrong with the chain.
#[derive(Debug, Error)]
enum CheckError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the certificate has ended: renew it")]
    CertificateOver,
    #[error("the ledger cannot be read")]
    Chain(#[from] ChainError),
    #[error("the node is on chain {found}, the deployment on chain {expected}")]
    OtherChain { found: u64, expected: u64 },
}

/// Checks store and chain of a configuration that is itself in order, printing a line for each. True when all is well.
pub async fn check(config: &Config) -> bool {
    println!("config   ok");
    report("files", FileLimit::raise(config).map(describe_files));
    let tls = report("tls", check_tls(config));
    let store = report("store", check_store(config));
    report("chain", check_chain(config).await) && store && tls
}

fn check_tls(config: &Config) -> Result<String, CheckError> {
    let Some(files) = &config.tls else {
        return Ok("none: REST, websocket and MQTT in the clear".into());
    };
    match Tls::load(files)?.lifetime() {
        lifetime @ Lifetime::Good(_) => Ok(format!("ok: {lifetime}")),
        lifetime @ Lifetime::EndsSoon(_) => Ok(format!("WARNING: {lifetime}")),
        Lifetime::Over => Err(CheckError::CertificateOver),
    }
}

fn describe_files(limit: FileLimit) -> String {
    let FileLimit { allowed, needed } = limit;
    if limit.suffices() {
        format!("ok: {allowed} may be open")
    } else {
        format!(
            "WARNING: {allowed} may be open, all connections would need {needed}: raise the hard limit"
        )
    }
}

/// A store that a gateway has open is not looked into: two at once would destroy it.
fn check_store(config: &Config) -> Result<String, ServerError> {
    data_folder::prepare(&config.data)?;
    if is_served(&config.data) {
        return Ok("ok: in use by the gateway that runs".into());
    }
    Store::open(&config.data.join("store"))?;
    fleet_key::load(config.auth.key_file.as_deref(), &config.data)?;
    Ok("ok".into())
}

async fn check_chain(config: &Config) -> Result<String, CheckError> {
    let rpc = Rpc::any_of(&config.chain.rpc)?;
    let deployment = resolve(config, &rpc).await?;
    refuse_other_chain(config, deployment.chain_id).await?;
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
