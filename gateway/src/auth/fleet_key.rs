//! The key that all gateways of a fleet share, under which nonces, sessions and device passwords are made.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::private::open_mode;

const BYTES: usize = 32;
/// What only the owner may read.
const PRIVATE: u32 = 0o600;

/// Why the key cannot be used.
#[derive(Debug, Error)]
pub enum FleetKeyError {
    /// Somebody else may read it.
    #[error(
        "others may read the fleet's key {path} (mode {mode:03o}), with which they could sign in as anybody: chmod 600 {path}",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what it should be.
    #[error("the fleet's key {} must be 64 hexadecimal digits", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or made.
    #[error("cannot use the fleet's key {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Reads the key from `file`, or from `fleet.key` in the data folder, where it is made when there is none.
///
/// # Errors
/// When it cannot be read, or others can.
pub(crate) fn load(file: Option<&Path>, data: &Path) -> Result<[u8; BYTES], FleetKeyError> {
    let path = file.map_or_else(|| data.join("fleet.key"), Path::to_owned);
    if file.is_none() && !path.exists() {
        make(&path)?;
    }
    read(&path).map_err(|source| FleetKeyError::Io {
        path: path.clone(),
        source,
    })?
}

type Parsed = Result<[u8; BYTES], FleetKeyError>;

fn read(path: &Path) -> io::Result<Parsed> {
    let path = path.to_owned();
    if let Some(mode) = open_mode(&path)? {
        return Ok(Err(FleetKeyError::Open { path, mode }));
    }
    let text = fs::read_to_string(&path)?;
    let mut key = [0; BYTES];
    let parsed = hex::decode_to_slice(text.trim(), &mut key);
    Ok(parsed
        .map(|()| key)
        .map_err(|_| FleetKeyError::Malformed { path }))
}

/// Writes a fresh key in one piece: a kill in between leaves none.
fn make(path: &Path) -> Result<(), FleetKeyError> {
    let mut key = [0; BYTES];
    getrandom::fill(&mut key).map_err(FleetKeyError::Random)?;
    let partial = path.with_extension("key.partial");
    let write = || {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        let mut file = options.mode(PRIVATE).open(&partial)?;
        writeln!(file, "{}", hex::encode(key))?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|source| FleetKeyError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = load(None, folder.path()).unwrap();
        assert_eq!(load(None, folder.path()).unwrap(), key);
        let path = folder.path().join("fleet.key");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let line = load(None, folder.path()).unwrap_err().to_string();
        assert!(line.contains("chmod 600") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn a_named_key_must_be_there_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = || load(Some(&path), folder.path());
        assert!(matches!(read(), Err(FleetKeyError::Io { .. })), "missing");
        for (text, good) in [
            ("ab".repeat(32), true),
            (format!("{}\n", "AB".repeat(32)), true),
            ("ab".repeat(31), false),
            ("xy".repeat(32), false),
            (String::new(), false),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let outcome = read();
            assert_eq!(outcome.is_ok(), good, "{text:?}");
            let malformed = matches!(outcome, Err(FleetKeyError::Malformed { .. }));
            assert_eq!(malformed, !good, "{text:?}");
        }
    }
}
