//! How the process ends: exit codes and last words.

use std::error::Error;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::chain::FollowerError;
use crate::chained::Chained;
use crate::config::ConfigError;
use crate::operator::OrderError;
use crate::server::ServerError;

/// Bad configuration, as sysexits.h names it (EX_USAGE).
const BAD_CONFIG: u8 = 64;

/// Ends after a bad command line: help goes to the standard output, a mistake is one line on stderr.
pub fn usage(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    // clap sets what is missing on lines of its own.
    let words: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .flat_map(str::split_whitespace)
        .collect();
    eprintln!("{}", words.join(" "));
    ExitCode::from(BAD_CONFIG)
}

/// Ends after a bad configuration.
pub fn bad_config(error: &ConfigError) -> ExitCode {
    eprintln!("error: {}", Chained(error));
    ExitCode::from(BAD_CONFIG)
}

/// Ends after a failure, which is one line on stderr.
pub fn failure(error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("error: {}", Chained(error));
    match error.downcast_ref() {
        Some(
            ServerError::Config(_)
            | ServerError::DataFolder(_)
            | ServerError::FleetKey(_)
            | ServerError::Tls(_)
            | ServerError::OtherChain { .. }
            | ServerError::Follower(FollowerError::OtherLedger { .. }),
        ) => ExitCode::from(BAD_CONFIG),
        _ => ExitCode::FAILURE,
    }
}

/// Ends after an operator's command: what came of it goes to the standard output.
pub fn told(outcome: &Result<String, OrderError>) -> ExitCode {
    match outcome {
        Ok(words) if words.is_empty() => ExitCode::SUCCESS,
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => failure(error),
    }
}
