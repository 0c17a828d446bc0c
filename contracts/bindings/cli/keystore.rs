use std::path::Path;

use anyhow::{Context, Result};
use ashya_contracts::{Asking, KeyArgs, create_keystore};
use ashya_protocol::Address;
use serde::Serialize;

use super::config::Config;
use super::outcome::Outcome;

#[derive(Serialize)]
struct Named {
    address: Address,
}

pub(super) fn create(keys: &KeyArgs, out: &Path) -> Result<Outcome> {
    let named = || format!("the keystore {}", out.display());
    let password = keys.password(Asking::ForNew)?;
    let address = create_keystore(out, &password)
        .with_context(named)?
        .address();
    Ok(Outcome::new(&Named { address })?
        .line("address", &address)
        .line("keystore", &out.display())
        .next(format!(
            "keep a copy of the file and the password; without either the key is lost. Use it by --keystore {}",
            out.display()
        )))
}

pub(super) fn address(config: &Config) -> Result<Outcome> {
    let address = config.wallet()?.address();
    Ok(Outcome::new(&Named { address })?.line("address", &address))
}
