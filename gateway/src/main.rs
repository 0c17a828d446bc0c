//! `ashya-gateway`: see `ashya-gateway --help`.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

use std::process::ExitCode;

use anyhow::Context;
use ashya_gateway::{Args, Command, Config, Settings, exit, logging, operate};
use clap::Parser;

fn main() -> ExitCode {
    let command = match Args::try_parse() {
        Ok(args) => args.command,
        Err(error) => return exit::usage(&error),
    };
    let (args, checks_only) = match command {
        Command::Config => {
            print!("{}", Settings::default().to_toml());
            return ExitCode::SUCCESS;
        }
        Command::Run(args) => (args, false),
        Command::Check(args) => (args, true),
        Command::Operator(order) => return exit::told(&operate(&order)),
    };
    let config = match Config::load(*args) {
        Ok(config) => config,
        Err(error) => return exit::bad_config(&error),
    };
    logging::start(config.log);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(start(config, checks_only)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit::failure(error.as_ref()),
    }
}

/// True when all went well.
async fn start(config: Config, checks_only: bool) -> anyhow::Result<bool> {
    if checks_only {
        return Ok(ashya_gateway::check(&config).await);
    }
    ashya_gateway::run_until_signal(config).await?;
    Ok(true)
}
