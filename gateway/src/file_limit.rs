//! How many files the process may have open: each connection is one.

use std::io;

use crate::config::Config;
use crate::defaults::{MAX_METRICS_CONNECTIONS, SPARE_FILES};

/// What is there, and what the configured connections could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileLimit {
    /// Files that may be open.
    pub(crate) allowed: u64,
    /// Files that all connections and the rest need.
    pub(crate) needed: u64,
}

impl FileLimit {
    /// Raises the process's limit as far as the system lets it.
    ///
    /// # Errors
    /// When the system does not tell or change it.
    pub(crate) fn raise(config: &Config) -> io::Result<Self> {
        let connections =
            config.http.max_connections + config.mqtt.max_connections + MAX_METRICS_CONNECTIONS;
        Ok(Self {
            allowed: rlimit::increase_nofile_limit(u64::MAX)?,
            needed: connections as u64 + SPARE_FILES,
        })
    }

    /// Whether all connections can be open at a time.
    pub(crate) const fn suffices(self) -> bool {
        self.allowed >= self.needed
    }
}

/// Raises the limit and says where it is too low for the configured connections.
pub(crate) fn raise(config: &Config) {
    match FileLimit::raise(config) {
        Ok(limit) if limit.suffices() => {
            tracing::debug!(files.allowed = limit.allowed, "enough files may be open");
        }
        Ok(FileLimit { allowed, needed }) => tracing::warn!(
            files.allowed = allowed,
            files.needed = needed,
            "fewer files may be open than all connections would need: raise the hard limit (ulimit -Hn, LimitNOFILE)"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}
