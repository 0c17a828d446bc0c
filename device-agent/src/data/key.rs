use std::path::Path;
use std::{fs, io};

use ashya_protocol::DeviceKey;

use super::files::{io_error, sync_folder, write_beside};
use super::{DataDir, DataError};

/// The secret key, 64 hexadecimal digits.
pub(super) const KEY_FILE: &str = "device.key";

impl DataDir {
    /// The device's key, made at first use in a file that only its owner can read.
    ///
    /// # Errors
    /// When the file is damaged, or readable by group or world.
    pub fn device_key(&self) -> Result<DeviceKey, DataError> {
        let path = self.path.join(KEY_FILE);
        if !path.exists() {
            let fresh = fresh_key().to_secret_hex() + "\n";
            let written = write_beside(&path, fresh.as_bytes());
            // Never over a key that is there: where two begin at once, the second reads what the first has made.
            match written.and_then(|file| Ok(file.persist_noclobber(&path)?)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("make", &path)(error)),
            }
        }
        // Also for a key that was there: who made it may have been stopped before this, and a feed that the key
        // authorizes must not outlive it.
        sync_folder(&self.path).map_err(io_error("write", &self.path))?;
        let damaged = || DataError::Damaged {
            path: path.display().to_string(),
            expected: "64 hexadecimal digits",
        };
        if !path.is_file() {
            return Err(damaged());
        }
        refuse_exposed(&path)?;
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        DeviceKey::from_hex(&text).map_err(|_| damaged())
    }

    /// Whether there is a key; none is made.
    pub fn has_key(&self) -> bool {
        self.path.join(KEY_FILE).exists()
    }

    /// Makes a key that was kept elsewhere this device's; never over one that is there.
    ///
    /// # Errors
    /// When there is one, or the disk refuses.
    pub fn keep_key(&self, key: &DeviceKey) -> Result<(), DataError> {
        let path = self.path.join(KEY_FILE);
        let text = key.to_secret_hex() + "\n";
        let written = write_beside(&path, text.as_bytes());
        let kept = written.and_then(|file| {
            file.persist_noclobber(&path)?;
            sync_folder(&self.path)
        });
        kept.map_err(io_error("make", &path))
    }
}

fn fresh_key() -> DeviceKey {
    loop {
        // All but one in 2^128 numbers are keys.
        if let Ok(key) = DeviceKey::from_bytes(rand::random()) {
            return key;
        }
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), DataError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(io_error("read", path))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(DataError::Exposed {
        path: path.display().to_string(),
        mode,
    })
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), DataError> {
    Ok(())
}
