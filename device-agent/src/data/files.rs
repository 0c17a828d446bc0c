//! How files of the data folder are read and written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use super::DataError;

pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, DataError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Replaces a file so that after a power cut either the old or the new content is there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let write = || {
        write_beside(path, content)?.persist(path)?;
        path.parent().map_or(Ok(()), sync_folder)
    };
    write().map_err(io_error("write", path))
}

/// Puts content on the disk in a file of its own beside `path`, which only its owner can read and which goes when it
/// is not used.
pub(super) fn write_beside(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .suffix(".new")
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Puts the names in a folder on the disk; a file that is synced may still lose its name in a power cut.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("structs of texts and numbers are JSON")
}

pub(super) fn io_error(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> DataError {
    let path = path.display().to_string();
    move |source| DataError::Io {
        verb,
        path: path.clone(),
        source,
    }
}
