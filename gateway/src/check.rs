//! `ashya-gateway check`: whether the gateway would run, and what is in its way.

use std::path::Path;

use ashya_contracts::{ChainError, Ledger, Rpc};
use ashya_protocol::{Address, Domain};
use thiserror::Error;

use crate::auth::fleet_key;
use crate::auth::nonces::Nonces;
use crate::auth::sessions::Sessions;
use crate::chained::Chained;
use crate::config::Config;
use crate::data_folder;
use crate::defaults::{MAX_USED_NONCES, NONCE_LIFETIME};
use crate::entrance::{Lifetime, Tls, TlsError};
use crate::file_limit::FileLimit;
use crate::operator::is_served;
use crate::outage;
use crate::positions::Positions;
use crate::previews::Previews;
use crate::registry::Registry;
use crate::server::{ServerError, refuse_other_chain, resolve};
use crate::store::{self, Store, StoreError};

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
    let files = report("files", FileLimit::raise(config).map(describe_files));
    let tls = report("tls", check_tls(config));
    let store = report("store", check_store(config));
    report("chain", check_chain(config).await) && store && tls && files
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
    let key = fleet_key::load(config.auth.key_file.as_deref(), &config.data)?;
    let path = config.data.join("store");
    if !path.exists() {
        return Ok("ok: none yet, the gateway makes it when it starts".into());
    }
    Ok(look_into(&path, config, &key)?)
}

/// Reads the store in `path` as a start would. Its records stay as they are, but opening alone may cut a torn end off the
/// log and make trees that are missing.
fn look_into(path: &Path, config: &Config, key: &[u8]) -> Result<String, StoreError> {
    match store::open_unchanged(path, |store| read(&store, config, key)) {
        Ok(()) => Ok("ok".into()),
        // The gateway would run.
        Err(
            told @ (StoreError::Older { .. } | StoreError::NotBegun | StoreError::Behind { .. }),
        ) => Ok(format!("WARNING: {told}")),
        Err(error) => Err(error),
    }
}

/// Reads all that the gateway reads of its store when it starts.
fn read(store: &Store, config: &Config, key: &[u8]) -> Result<(), StoreError> {
    // For whom signatures are makes no difference to reading them.
    let domain = Domain {
        chain_id: 0,
        ledger: Address::ZERO,
    };
    let auth = &config.auth;
    Registry::load(store.clone(), domain, config.max_devices)?;
    Positions::load(store.clone())?;
    Sessions::load(
        store.clone(),
        key,
        auth.session_lifetime,
        auth.sockets_per_wallet,
    )?;
    Nonces::load(store.clone(), key, NONCE_LIFETIME, MAX_USED_NONCES)?;
    Previews::load(store.clone())?;
    outage::load_allowance(store)?;
    store.load_listings()?;
    store.identity()?;
    store.load_chain()?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunArgs;
    use crate::store::when_free;

    fn config(data: &Path) -> Config {
        let args = RunArgs {
            data: Some(data.to_owned()),
            ledger: Some(Address::new([9; 20])),
            deployment_block: Some(1),
            ..RunArgs::default()
        };
        Config::load(args).unwrap()
    }

    #[test]
    fn a_store_is_read_as_at_a_start_and_neither_made_nor_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = config(&data);
        let path = data.join("store");
        assert!(check_store(&config).unwrap().contains("none yet"));
        assert!(!path.exists());
        drop(Store::open(&path).unwrap());
        let look = || when_free(|| look_into(&path, &config, &[7; 32]));
        assert_eq!(look().unwrap(), "ok");
        for of_outage in [true, false] {
            let store = Store::reopen(&path);
            if of_outage {
                store.outage.put(b"allowance", &"none").unwrap();
            } else {
                store.outage.remove(b"allowance").unwrap();
                store.positions.put(b"short", &7_u64).unwrap();
            }
            drop(store);
            let looked = look();
            assert!(matches!(looked, Err(StoreError::Damaged(_))), "{looked:?}");
        }
        let names = std::fs::read_dir(&data).unwrap().filter_map(Result::ok);
        let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["fleet.key", "store"]);
    }
}
