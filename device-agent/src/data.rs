//! The data folder: the device's key, its boot counter, and what it has agreed to before.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ashya_protocol::rest::Registration;
use ashya_protocol::{Boot, DeviceKey, Domain};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use thiserror::Error;

/// The secret key, 64 hexadecimal digits.
const KEY_FILE: &str = "device.key";
/// The last boot, a decimal number.
const BOOT_FILE: &str = "boot";
/// The chain and ledger that this device speaks for.
const LEDGER_FILE: &str = "ledger.json";
/// The last registration document.
const REGISTRATION_FILE: &str = "registration.json";
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PinnedLedger {
    chain_id: u64,
    ledger: ashya_protocol::Address,
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

    /// The number of this start: above every earlier one, also where the clock went back. It is on disk on return.
    ///
    /// # Errors
    /// When the counter is damaged or cannot be written.
    pub fn next_boot(&self) -> Result<Boot, DataError> {
        let path = self.path.join(BOOT_FILE);
        let damaged = || DataError::Damaged {
            path: path.display().to_string(),
            expected: "a number below 2^53",
        };
        let stored = match read_if_there(&path)? {
            None => 0,
            Some(text) => text.trim().parse().map_err(|_| damaged())?,
        };
        let boot = Boot::try_from(boot_after(stored, unix_seconds())).map_err(|_| damaged())?;
        replace(&path, boot.to_string().as_bytes())?;
        Ok(boot)
    }

    /// Remembers the ledger that this device signs for, and refuses another one later.
    ///
    /// # Errors
    /// When it is another one than before.
    pub fn pin_ledger(&self, domain: Domain) -> Result<(), DataError> {
        let path = self.path.join(LEDGER_FILE);
        let Some(text) = read_if_there(&path)? else {
            let pinned = PinnedLedger {
                chain_id: domain.chain_id,
                ledger: domain.ledger,
            };
            return replace(&path, &to_json(&pinned));
        };
        let pinned: PinnedLedger = serde_json::from_str(&text).map_err(|_| DataError::Damaged {
            path: path.display().to_string(),
            expected: "a chain id and a ledger as JSON",
        })?;
        if (pinned.chain_id, pinned.ledger) == (domain.chain_id, domain.ledger) {
            return Ok(());
        }
        Err(DataError::OtherLedger {
            offered: domain.ledger.to_string(),
            offered_chain: domain.chain_id,
            pinned: pinned.ledger.to_string(),
            pinned_chain: pinned.chain_id,
            path: path.display().to_string(),
        })
    }

    /// Gives a registration document its revision: the last one where nothing changed, else a higher one.
    ///
    /// # Errors
    /// When the last one cannot be read or this one not written.
    pub fn revise(&self, document: Registration) -> Result<Registration, DataError> {
        let path = self.path.join(REGISTRATION_FILE);
        let last: Option<Registration> =
            read_if_there(&path)?.and_then(|text| serde_json::from_str(&text).ok());
        let revision = revision_after(last.as_ref(), &document, unix_seconds());
        let document = Registration {
            revision,
            ..document
        };
        if last.as_ref() != Some(&document) {
            replace(&path, &to_json(&document))?;
        }
        Ok(document)
    }
}

/// Seconds since the Unix epoch; 0 where the clock stands before it.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

fn boot_after(stored: u64, now: u64) -> u64 {
    now.max(stored.saturating_add(1))
}

/// Unix seconds, so that a device whose folder was lost still outranks its older documents.
fn revision_after(last: Option<&Registration>, next: &Registration, now: u64) -> u64 {
    match last {
        None => now,
        Some(last) => {
            let unchanged = Registration {
                revision: last.revision,
                ..next.clone()
            } == *last;
            if unchanged {
                last.revision
            } else {
                boot_after(last.revision, now)
            }
        }
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

fn read_if_there(path: &Path) -> Result<Option<String>, DataError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Replaces a file so that after a power cut either the old or the new content is there.
fn replace(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let write = || {
        write_beside(path, content)?.persist(path)?;
        path.parent().map_or(Ok(()), sync_folder)
    };
    write().map_err(io_error("write", path))
}

/// Puts content on the disk in a file of its own beside `path`, which only its owner can read and which goes when it
/// is not used.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
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
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("structs of texts and numbers are JSON")
}

fn io_error(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> DataError {
    let path = path.display().to_string();
    move |source| DataError::Io {
        verb,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(&folder.path().join("device")).unwrap();
        (folder, data)
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, data) = folder();
        let path = data.path.join(KEY_FILE);
        let first = data.device_key().unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(data.device_key().unwrap().address(), first.address());
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = data.device_key().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{mode:o}: {error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(data.device_key().is_ok());
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let (_folder, data) = folder();
        data.device_key().unwrap();
        fs::write(data.path.join(KEY_FILE), "not a key").unwrap();
        assert!(matches!(data.device_key(), Err(DataError::Damaged { .. })));
    }

    #[test]
    fn a_key_is_never_seen_half_written() {
        for _ in 0..20 {
            let (_folder, data) = folder();
            let devices: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| data.device_key())).collect();
                let keys = starts.into_iter().map(|start| start.join().unwrap());
                keys.map(|key| key.unwrap().device_id()).collect()
            });
            assert!(devices.iter().all(|device| *device == devices[0]));
            let files = fs::read_dir(&data.path).unwrap().count();
            assert_eq!(files, 1, "the keys that were not needed are gone");
        }
    }

    #[test]
    fn a_start_that_was_killed_while_it_wrote_does_no_harm() {
        let (_folder, data) = folder();
        // What such a start leaves: files of its own that never got their name.
        let path = data.path.join(KEY_FILE);
        for half in ["", "ab12"] {
            let left = write_beside(&path, half.as_bytes()).unwrap();
            left.keep().unwrap();
        }
        let key = data.device_key().unwrap();
        assert_eq!(data.device_key().unwrap().address(), key.address());
        assert!(data.next_boot().is_ok());
    }

    #[test]
    fn a_folder_in_the_place_of_the_key_is_no_key() {
        let (_folder, data) = folder();
        fs::create_dir(data.path.join(KEY_FILE)).unwrap();
        let error = data.device_key().unwrap_err().to_string();
        assert!(error.contains("expected 64 hexadecimal digits"), "{error}");
    }

    #[test]
    fn boots_rise_even_when_the_clock_goes_back() {
        for (stored, now, boot) in [
            (0, 1_700_000_000, 1_700_000_000),
            (1_700_000_000, 5, 1_700_000_001),
            (7, 7, 8),
        ] {
            assert_eq!(boot_after(stored, now), boot);
        }
        let (_folder, data) = folder();
        let first = data.next_boot().unwrap();
        let second = data.next_boot().unwrap();
        assert!(second > first);
        fs::write(data.path.join(BOOT_FILE), "soon").unwrap();
        assert!(data.next_boot().is_err());
    }

    #[test]
    fn another_ledger_is_refused() {
        let (_folder, data) = folder();
        let domain = |chain_id, byte| Domain {
            chain_id,
            ledger: ashya_protocol::Address::new([byte; 20]),
        };
        for (offered, accepted) in [
            (domain(1, 1), true),
            (domain(1, 1), true),
            (domain(1, 2), false),
            (domain(2, 1), false),
        ] {
            assert_eq!(data.pin_ledger(offered).is_ok(), accepted, "{offered:?}");
        }
    }

    #[test]
    fn a_revision_rises_only_with_a_change() {
        let (_folder, data) = folder();
        let document = Registration {
            device: ashya_protocol::DeviceId::new([1; 20]),
            owner: ashya_protocol::Address::new([2; 20]),
            revision: 0,
            title: "Gate".into(),
            description: String::new(),
            streams: vec!["detections".parse().unwrap()],
        };
        let first = data.revise(document.clone()).unwrap();
        assert_eq!(data.revise(document.clone()).unwrap(), first);
        let changed = Registration {
            title: "North gate".into(),
            ..document
        };
        assert!(data.revise(changed).unwrap().revision > first.revision);
    }

    /// A gateway asks more than the revision that was removed; both ways that the agent's message names give it.
    #[test]
    fn a_removed_device_comes_back_with_a_change_or_without_its_last_document() {
        let removed = Registration {
            device: ashya_protocol::DeviceId::new([1; 20]),
            owner: ashya_protocol::Address::new([2; 20]),
            revision: unix_seconds() - 60,
            title: "Gate".into(),
            description: String::new(),
            streams: vec!["detections".parse().unwrap()],
        };
        let renamed = Registration {
            title: "North gate".into(),
            ..removed.clone()
        };
        for (forgotten, document, returns) in [
            (false, &removed, false),
            (false, &renamed, true),
            (true, &removed, true),
        ] {
            let (_folder, data) = folder();
            let path = data.path.join(REGISTRATION_FILE);
            fs::write(&path, to_json(&removed)).unwrap();
            if forgotten {
                fs::remove_file(&path).unwrap();
            }
            let offered = data.revise(document.clone()).unwrap();
            assert_eq!(offered.revision > removed.revision, returns, "{document:?}");
        }
    }

    #[test]
    fn one_agent_a_folder() {
        let (_folder, data) = folder();
        let lock = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(DataError::InUse(_))));
        drop(lock);
        assert!(data.lock().is_ok());
    }
}
