//! The folder of a gateway's own exports: the newest are kept, and of those the last that is whole is taken in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{
    Contents, ExportError, PARTIAL, check_if_later, generation_of, take_in_file, write_file,
};
use crate::chain_clock::wall_clock;
use crate::chained::Chained;
use crate::store::{Store, StoreError};

/// Exports that are kept.
pub(super) const KEPT: usize = 2;
const PREFIX: &str = "export-";
/// Fewest digits of the second in a name, so that names sort as the seconds do.
const DIGITS: usize = 12;
pub(super) const WHOLE: &str = "jsonl";
/// One whose records nobody could read.
const UNREADABLE: &str = "unreadable";

/// Writes an export of a new generation into `folder` and removes the oldest beyond [`KEPT`], and what a kill has left of
/// earlier ones.
///
/// # Errors
/// When the store or the disk fails.
pub(crate) fn back_up(store: &Store, folder: &Path) -> Result<u64, ExportError> {
    fs::create_dir_all(folder)?;
    for left in listed(folder, PARTIAL)? {
        fs::remove_file(left)?;
    }
    // Before the first record is read, so that the export has all that a store of the generation before has.
    store.raise_generation()?;
    let name = format!("{PREFIX}{:0DIGITS$}.{WHOLE}", next_second(folder)?);
    let records = write_file(store, &folder.join(name))?;
    // Its name is on the disk before the others go.
    File::open(folder)?.sync_all()?;
    for old in listed(folder, WHOLE)?.into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(records)
}

/// Writes what a store holds to `path` before something else takes its place.
///
/// # Errors
/// When the store or the disk fails.
pub(in crate::store) fn keep_aside(store: &Store, path: &Path) -> Result<(), StoreError> {
    match write_file(store, path) {
        Ok(_) => {}
        Err(ExportError::Store(error)) => return Err(error),
        Err(ExportError::Io(error)) => return Err(StoreError::Flush(error)),
        Err(error) => return Err(unusable(path, error)),
    }
    // Its name is on the disk before the store changes.
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The second by which an export that is written now is named: later than that of any other, also where the clock has
/// gone back.
fn next_second(folder: &Path) -> io::Result<u64> {
    let second_of = |path: &PathBuf| {
        let digits = path.file_stem()?.to_str()?.strip_prefix(PREFIX)?;
        digits.parse::<u64>().ok()
    };
    let second = listed(folder, WHOLE)?.iter().filter_map(second_of).max();
    let after = second.map_or(0, |second| second.saturating_add(1));
    Ok(after.max(wall_clock().as_secs()))
}

/// Gives the newest export of a folder another name, under which it stays; gives it back, if there is one.
///
/// # Errors
/// When the folder is there and cannot be read or written.
pub(in crate::store) fn set_newest_aside(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let Some(newest) = newest_first(folder)?.into_iter().next() else {
        return Ok(None);
    };
    let aside = newest.with_extension(UNREADABLE);
    fs::rename(&newest, &aside)?;
    Ok(Some(aside))
}

/// Takes the newest whole export of `folder` in, when there is one.
///
/// # Errors
/// When the store fails, or an export cannot be read now that may be read later. Damaged ones are left out.
pub(in crate::store) fn restore(store: &Store, folder: &Path) -> Result<(), StoreError> {
    for path in newest_first(folder)? {
        match take_in_file(store, &path) {
            Ok(records) => {
                tracing::warn!(path = %path.display(), records, "the last export is taken in");
                return Ok(());
            }
            Err(ExportError::Store(error)) => return Err(error),
            Err(error) if error.is_damage() => {
                let error = Chained(&error);
                tracing::warn!(path = %path.display(), %error, "an export is left out");
                store.clear_exported()?;
            }
            Err(error) => return Err(unusable(&path, error)),
        }
    }
    Ok(())
}

/// The newest whole export of `folder`, where it is of a later generation than `known`. It is the one that [`restore`]
/// would take in.
///
/// # Errors
/// When an export, or the folder, cannot be read now that may be read later.
pub(in crate::store) fn newest_if_later(
    folder: &Path,
    known: u64,
) -> Result<Option<(PathBuf, Contents)>, StoreError> {
    for path in newest_first(folder)? {
        match check_if_later(&path, known) {
            Ok(contents) => return Ok(contents.map(|contents| (path, contents))),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(unusable(&path, error)),
        }
    }
    Ok(None)
}

/// The highest generation that an export of `folder` names. What cannot be read names none.
///
/// # Errors
/// When the folder cannot be read.
pub(in crate::store) fn highest_generation(folder: &Path) -> Result<u64, StoreError> {
    let paths = newest_first(folder)?.into_iter();
    let generations = paths.filter_map(|path| generation_of(&File::open(path).ok()?).ok());
    Ok(generations.max().unwrap_or(0))
}

/// The exports of a folder, the newest first; none when there is no folder.
fn newest_first(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match listed(folder, WHOLE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| unusable(folder, error.into())),
    }
}

fn unusable(path: &Path, error: ExportError) -> StoreError {
    StoreError::Export {
        path: path.to_owned(),
        source: Box::new(error),
    }
}

/// The exports of a folder whose names end so, the newest first: those that [`back_up`] named, and no others.
pub(super) fn listed(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let parts = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('.'));
        let is_own = |(digits, end): (&str, &str)| {
            digits.len() >= DIGITS
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && end == extension
        };
        if parts.is_some_and(is_own) {
            paths.push(folder.join(name.as_ref()));
        }
    }
    paths.sort_unstable();
    paths.reverse();
    Ok(paths)
}
