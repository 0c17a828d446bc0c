//! The log, on stderr.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Levels unless `ASHYA_LOG` says otherwise.
const DEFAULT_LEVELS: &str = "info";

/// Starts the log for the life of the process.
pub(crate) fn start(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("ASHYA_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_LEVELS));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    match format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
