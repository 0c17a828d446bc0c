use std::process::ExitCode;

use crate::check::check;
use crate::cli::EXIT_USAGE;
use crate::config::{Config, RunArgs};

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = match Config::load(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    Ok(if check(config).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
