use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use ashya_contracts::{Ledger, Release};
use ashya_protocol::Address;
use serde::Serialize;

use super::args::VerifyArgs;
use super::config::Config;
use super::outcome::Outcome;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    chain_id: u64,
    ledger: Address,
    contract: &'static str,
    compiler: &'static str,
    standard_input: Option<PathBuf>,
}

pub(super) async fn verify(config: &Config, args: &VerifyArgs) -> Result<Outcome> {
    if let Some(out) = &args.out {
        fs::write(out, Release::standard_input())
            .with_context(|| format!("the standard-JSON input {}", out.display()))?;
        eprintln!("wrote {}", out.display());
    }
    config.chain_id().await?;
    let domain = Ledger::verify(&config.rpc, config.ledger_address()?).await?;
    let verified = Verified {
        chain_id: domain.chain_id,
        ledger: domain.ledger,
        contract: Release::contract(),
        compiler: Release::compiler(),
        standard_input: args.out.clone(),
    };
    let outcome = Outcome::new(&verified)?
        .line("verified", &"the code there is this release's, to the byte")
        .line("ledger", &domain.ledger)
        .line("chain", &domain.chain_id);
    Ok(match &args.out {
        Some(out) => explorer(outcome, &out.display().to_string()),
        None => outcome.next("for a block explorer: verify --out FeedLedger.standard-input.json"),
    })
}

/// What to enter at Etherscan, Blockscout and the like.
fn explorer(outcome: Outcome, input: &str) -> Outcome {
    outcome
        .next("at the explorer, verify this address with")
        .line("  type", &"Solidity (Standard-Json-Input)")
        .line("  compiler", &Release::compiler())
        .line("  license", &"MIT")
        .line("  file", &input)
        .line("  contract", &Release::contract())
        .line(
            "  arguments",
            &"none: leave the constructor arguments empty",
        )
        .line(
            "  settings",
            &"in the file: optimizer 1,000,000 runs, viaIR, EVM cancun, no metadata hash",
        )
}
