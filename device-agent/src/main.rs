//! The `ashya-agent` program.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

use std::io;
use std::process::ExitCode;

use ashya_agent::cli::Cli;
use ashya_agent::settle_environment;

fn main() -> ExitCode {
    if let Err(error) = settle_environment() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    answer()
}

#[tokio::main]
async fn answer() -> ExitCode {
    match Cli::from_command_line().run().await {
        Ok(code) => code,
        // Whoever read our output has had enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
