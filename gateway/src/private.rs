//! What only its owner may read: keys, and the folder that holds them.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The permission bits of a file or folder, where others than its owner have any right to it.
///
/// # Errors
/// When it cannot be looked at.
pub(crate) fn open_mode(path: &Path) -> io::Result<Option<u32>> {
    let mode = path.metadata()?.permissions().mode() & 0o777;
    Ok((mode & OTHERS != 0).then_some(mode))
}
