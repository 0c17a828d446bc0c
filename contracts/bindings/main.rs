//! `ashya-ledger`: deploys the ledger, opens feeds, buys and cancels subscriptions, pays out.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod cli;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Args, Config};

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // There is nowhere left to tell when the terminal is gone.
            let _ = error.print();
            return code.into();
        }
    };
    let config = match Config::new(&args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("ashya-ledger: {error}");
            return USAGE.into();
        }
    };
    let json = args.json;
    match cli::run(&config, args).await {
        Ok(outcome) => {
            println!("{}", outcome.show(json));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ashya-ledger: {error:#}");
            if let Some(hint) = cli::hint(&config, &error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}
