//! `ashya-gateway`: see `ashya-gateway --help`.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

use std::process::ExitCode;

use anyhow::Context;
use ashya_gateway::{Args, Command, Config, Settings, exit, logging, operate};
use clap::Parser;
use tokio::runtime::Runtime;

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
    match run(config, checks_only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit::failure(error.as_ref()),
    }
}

/// True when all went well.
fn run(config: Config, checks_only: bool) -> anyhow::Result<bool> {
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let outcome = if checks_only {
        Ok(runtime.block_on(ashya_gateway::check(&config)))
    } else {
        let ended = runtime.block_on(ashya_gateway::run_until_signal(config));
        ended.map(|()| true).map_err(Into::into)
    };
    // Nothing that a thread still does for nobody may hold up the end.
    runtime.shutdown_background();
    outcome
}
