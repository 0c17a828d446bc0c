//! `ashya-gateway check`: whether the gateway would run, and what is in its way.

use ashya_contracts::{Ledger, Rpc};

use crate::config::Config;
use crate::server::resolve;
use crate::store::Store;

/// Checks store and chain of a configuration that is itself in order, printing a line for each. True when all is well.
pub async fn check(config: &Config) -> bool {
    println!("config   ok");
    let store = Store::open(&config.data.join("store")).map(|_| "ok".to_owned());
    let store = report("store", store);
    report("chain", check_chain(config).await) && store
}

async fn check_chain(config: &Config) -> anyhow::Result<String> {
    let rpc = Rpc::new(&config.chain.rpc)?;
    let deployment = resolve(config, &rpc).await?;
    let ledger = Ledger::connect(rpc, deployment.ledger).await?;
    let found = ledger.domain().chain_id;
    anyhow::ensure!(
        found == deployment.chain_id,
        "the node is on chain {found}, the deployment on chain {}",
        deployment.chain_id
    );
    let head = ledger.rpc().latest().await?;
    Ok(format!(
        "ok: ledger {} on chain {found}, head {}",
        deployment.ledger, head.number
    ))
}

fn report<E: std::fmt::Display>(what: &str, outcome: Result<String, E>) -> bool {
    match outcome {
        Ok(words) => {
            println!("{what:8} {words}");
            true
        }
        Err(error) => {
            println!("{what:8} FAILED: {error:#}");
            false
        }
    }
}
