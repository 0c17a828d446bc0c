use std::process::ExitCode;

use tokio::signal;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::agent;
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
    let stop = CancellationToken::new();
    let working = agent::run(config, stop.clone());
    tokio::pin!(working);
    tokio::select! {
        done = &mut working => done?,
        signal = stop_signal() => {
            info!("{}: stopping", signal?);
            stop.cancel();
            working.await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<&'static str> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        pressed = signal::ctrl_c() => pressed.map(|()| "SIGINT"),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<&'static str> {
    signal::ctrl_c().await.map(|()| "Ctrl-C")
}
