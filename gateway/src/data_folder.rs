//! The folder that everything is kept in: the owner's alone.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::private::open_mode;

/// What only the owner may enter.
const PRIVATE: u32 = 0o700;

/// Why a data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataFolderError {
    /// Somebody else may enter it. With the secret in there they could forge everybody's sessions.
    #[error(
        "others may enter the data folder {path} (mode {mode:03o}), where the gateway's key is kept: chmod 700 {path}",
        path = path.display()
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It cannot be made or looked at.
    #[error("cannot use the data folder {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the folder for its owner alone, or checks that the one that is there is such a folder.
///
/// # Errors
/// When others may enter it, or it cannot be made.
pub(crate) fn prepare(path: &Path) -> Result<(), DataFolderError> {
    let made = DirBuilder::new().mode(PRIVATE).recursive(true).create(path);
    let mode = made.and_then(|()| open_mode(path));
    let path = path.to_owned();
    match mode {
        Ok(None) => Ok(()),
        Ok(Some(mode)) => Err(DataFolderError::Open { path, mode }),
        Err(source) => Err(DataFolderError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_data_folder_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/data");
        prepare(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for (bits, good) in [
            (0o700, true),
            (0o755, false),
            (0o750, false),
            (0o701, false),
            (0o770, false),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            let outcome = prepare(&path).map_err(|error| error.to_string());
            assert_eq!(outcome.is_ok(), good, "{bits:o}");
            if let Err(line) = outcome {
                let advice = format!("chmod 700 {}", path.display());
                assert!(line.ends_with(&advice) && !line.contains('\n'), "{line}");
            }
            assert_eq!(mode(&path), bits, "left as it was");
        }
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(prepare(&folder.path().join("file")).is_err());
    }
}
