//! The data folder: the device's key, its boot counter, and what it has agreed to before.

mod boot;
mod files;
mod key;
mod ledger;
mod registration;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use files::{io_error, sync_folder};
pub(crate) use files::{read_if_there, replace};

/// Events that wait for the gateway.
const SPOOL_FOLDER: &str = "spool";
/// Held by the running agent.
const LOCK_FILE: &str = "lock";

/// The folder where a device keeps what it must not forget.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
}

/// The folder is in use by this process until this is dropped.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file cannot be read or written.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path} is damaged: expected {expected}")]
    Damaged {
        /// The file.
        path: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Others can read the key.
    #[error(
        "{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`, or remove it to become another device"
    )]
    Exposed {
        /// The key file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Another agent uses the folder.
    #[error("another agent is running on {0}; each needs a data folder of its own")]
    InUse(String),
    /// The gateway names another ledger than before.
    #[error(
        "the gateway names ledger {offered} on chain {offered_chain}, but this device was set up for \
         {pinned} on chain {pinned_chain}; if the move is intended, remove {path}"
    )]
    OtherLedger {
        /// Ledger that the gateway names.
        offered: String,
        /// Its chain.
        offered_chain: u64,
        /// Ledger of this device.
        pinned: String,
        /// Its chain.
        pinned_chain: u64,
        /// The file that remembers it.
        path: String,
    },
}

impl DataDir {
    /// Opens the folder, made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(io_error("make", path))?;
            let parent = path.canonicalize().ok();
            let parent = parent.as_deref().and_then(Path::parent);
            parent
                .map_or(Ok(()), sync_folder)
                .map_err(io_error("make", path))?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The folder where it is there already; none is made.
    pub(crate) fn find(path: &Path) -> Option<Self> {
        let path = path.to_owned();
        path.is_dir().then_some(Self { path })
    }

    /// Whether another process has the folder. Nothing is made.
    pub(crate) fn is_in_use(&self) -> bool {
        let file = File::open(self.path.join(LOCK_FILE));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Where events wait for the gateway.
    pub fn spool_folder(&self) -> PathBuf {
        self.path.join(SPOOL_FOLDER)
    }

    /// Takes the folder for this process alone.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> Result<DataLock, DataError> {
        let path = self.path.join(LOCK_FILE);
        let file = File::create(&path).map_err(io_error("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(DataLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse(self.path.display().to_string())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }
}

/// Seconds since the Unix epoch; 0 where the clock stands before it.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests;
