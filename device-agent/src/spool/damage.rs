//! What happens to a spool that cannot be read: it is set aside, and another one is begun.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use tracing::error;

use super::SpoolError;
use crate::causes::causes;
use crate::data::unix_seconds;

impl SpoolError {
    /// Whether the spool holds what cannot be used, so that trying again would not help.
    pub(crate) const fn is_damage(&self) -> bool {
        match self {
            Self::Record | Self::OtherDevice | Self::Panicked => true,
            Self::Store(error) => matches!(error, sled::Error::Corruption { .. }),
            Self::Open { .. } | Self::Flush(_) => false,
        }
    }
}

/// How the name of a snapshot ends that sled has not finished.
const HALF_SNAPSHOT: &str = "generating";

/// Removes the snapshots in `path` that are not finished: a disk that was full at the time leaves them, and sled takes
/// them for damage of the whole. A snapshot only spares it to read the log, which holds everything.
///
/// # Errors
/// When the folder cannot be read or written.
pub(super) fn remove_half_snapshots(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|end| end == HALF_SNAPSHOT) {
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Renames the spool in `path`, and says so.
///
/// # Errors
/// When the folder cannot be renamed.
pub(super) fn set_aside(path: &Path, damage: &SpoolError) -> io::Result<()> {
    let aside = free_name(path);
    std::fs::rename(path, &aside)?;
    error!(
        path = %path.display(), aside = %aside.display(), reason = %causes(damage),
        "the spool cannot be used: what waited in it is not sent. It is set aside and may be removed; an empty one is begun"
    );
    Ok(())
}

/// A damaged page makes sled panic in places where it should return an error.
pub(super) fn unbroken<T>(work: impl FnOnce() -> Result<T, SpoolError>) -> Result<T, SpoolError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(SpoolError::Panicked))
}

/// A name beside the spool that nothing has yet.
fn free_name(path: &Path) -> PathBuf {
    let mut number = unix_seconds();
    loop {
        let name = path.with_extension(format!("damaged-{number}"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}
