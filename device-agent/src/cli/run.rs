use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::agent;
use crate::cli::EXIT_USAGE;
use crate::cli::stop::{stop_signal, until_second_signal};
use crate::config::{Config, RunArgs};
use crate::logging;

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = match Config::load(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    logging::start(config.log);
    let stop = CancellationToken::new();
    let working = agent::run(config, stop.clone());
    tokio::pin!(working);
    tokio::select! {
        done = &mut working => done?,
        signal = stop_signal() => {
            info!("{}: stopping", signal?);
            stop.cancel();
            until_second_signal(working).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
