//! Everything the gateway keeps on disk. The only module that knows sled.

mod chain;
mod damage;
mod export;
mod filling;
mod flusher;
mod generation;
mod history;
mod version;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub(crate) use chain::{BlockId, ChainCommit, Cursor, JournalBlock, LedgerIdentity};
pub(crate) use damage::{open_and_load, open_unchanged, unbroken};
pub use export::ExportError;
pub(crate) use export::{back_up, write_file};
use flusher::Flusher;
pub(crate) use history::{HistoryTrees, NewEvent, Record};

/// Bytes of the secret of which the gateway's name at the broker of a bridge is made. Tokens and nonces are signed by
/// the key of the fleet.
const SECRET_BYTES: usize = 32;
const SECRET_KEY: &[u8] = b"secret";
/// Memory for what was read of the disk: all but history is in memory anyway.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Where exports lie, beside the store.
pub(crate) const EXPORT_FOLDER: &str = "export";

/// The gateway's store: sled trees in one folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: sled::Db,
    flusher: Arc<Flusher>,
    /// Where its exports lie.
    exports: Arc<Path>,
    pub(crate) devices: Tree,
    pub(crate) listings: Tree,
    pub(crate) positions: Tree,
    pub(crate) nonces: Tree,
    pub(crate) sessions: Tree,
    pub(crate) blocked: Tree,
    pub(crate) previews: Tree,
    pub(crate) outage: Tree,
    pub(crate) history: HistoryTrees,
    feeds: sled::Tree,
    subscriptions: sled::Tree,
    chain: sled::Tree,
    blocks: sled::Tree,
}

/// One tree of records, each kept as JSON under a binary key.
#[derive(Debug, Clone)]
pub(crate) struct Tree(sled::Tree);

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be opened.
    #[error("cannot open the store in {path}: {reason}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// In sled's words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the store failed")]
    Io(#[from] sled::Error),
    /// The data could not be brought to the disk.
    #[error("the store cannot be flushed")]
    Flush(#[from] io::Error),
    /// A record is not what this version writes.
    #[error("a record of the store cannot be read")]
    Record(#[from] serde_json::Error),
    /// A later version wrote it.
    #[error("the store has layout {found}, this version knows layouts up to {known}")]
    Newer {
        /// Its layout.
        found: u64,
        /// The newest layout that is known.
        known: u64,
    },
    /// An earlier version wrote it, and whoever opens it now is not to change that.
    #[error(
        "the store has layout {found}: the gateway brings it to layout {current} when it starts, and no earlier version can use it from then on; copy the data folder before, to be able to go back"
    )]
    Older {
        /// Its layout.
        found: u64,
        /// The layout that this version writes.
        current: u64,
    },
    /// It is new, and the last export that lies beside it is not taken in yet.
    #[error("the store is not begun yet: start the gateway, which does it")]
    NotBegun,
    /// An import was stopped half-way.
    #[error("an import into the store was stopped half-way: import the file again")]
    HalfImported,
    /// An export beside it, or their folder, cannot be read now. Without it the store would begin empty, and later
    /// exports would take its place.
    #[error(
        "{path} cannot be taken in, and the gateway does not begin without it: let the gateway's user read it, start the version that wrote it, or move it elsewhere"
    )]
    Export {
        /// The export, or the folder.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ExportError>,
    },
    /// It is damaged, and whoever opens it now is not to replace it.
    #[error(
        "the store is damaged: the gateway sets it aside when it starts, and begins another one with its last export"
    )]
    Damaged(#[source] Box<StoreError>),
    /// It has lost what was written last.
    #[error(
        "the store has lost its end: it is of generation {found}, its export {path} of generation {exported}, which the gateway takes in when it starts"
    )]
    Behind {
        /// Its generation.
        found: u64,
        /// The export.
        path: PathBuf,
        /// The export's generation.
        exported: u64,
    },
    /// A key of the store has a wrong length.
    #[error("a key of the store cannot be read")]
    Key,
    /// The secret has a wrong length.
    #[error("the secret in the store is damaged")]
    Secret,
    /// A damaged page was met.
    #[error("the store panicked")]
    Panicked,
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Store {
    /// Opens the store in `path`, or makes it. A damaged one is set aside under another name. A new one begins with the
    /// last export that lies beside it, and one that has lost its end takes it in; the chain brings back the index.
    ///
    /// # Errors
    /// When the folder cannot be written, another process holds it, an import into it was stopped half-way, or an export
    /// that a new one is to begin with cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match damage::unbroken(|| Self::open_and_begin(path)) {
            Err(error) if error.is_damage() => Self::begin_anew(path, &error),
            other => other,
        }
    }

    /// Opens a store that was open before.
    #[cfg(test)]
    pub(crate) fn reopen(path: &Path) -> Self {
        when_free(|| Self::open(path)).unwrap()
    }

    /// A store that goes with the process.
    #[cfg(test)]
    pub(crate) fn temporary() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Kept until the process ends: whoever holds the store does not hold its folder.
        Self::open(&folder.keep().join("store")).unwrap()
    }

    /// The gateway's own secret, made when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn secret(&self) -> Result<[u8; SECRET_BYTES], StoreError> {
        if let Some(secret) = self.db.get(SECRET_KEY)? {
            return secret.as_ref().try_into().map_err(|_| StoreError::Secret);
        }
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(StoreError::Random)?;
        self.db.insert(SECRET_KEY, &secret)?;
        Ok(secret)
    }

    /// Brings everything written so far to the disk: when it returns, neither a kill nor a power cut undoes it.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.flusher.flush().await
    }

    /// [`Self::flush`] for a thread that may block.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn flush_blocking(&self) -> Result<(), StoreError> {
        self.flusher.flush_blocking()
    }

    fn open_and_begin(path: &Path) -> Result<Self, StoreError> {
        let store = Self::open_brought_up(path)?;
        filling::waiting(|| {
            store.begin()?;
            store.make_up()
        })?;
        Ok(store)
    }

    fn open_brought_up(path: &Path) -> Result<Self, StoreError> {
        let db = open_db(path)?;
        version::bring_up(&db)?;
        Self::with(db, path)
    }

    /// Opens a store of the current layout, or makes one.
    fn open_new_or_current(path: &Path) -> Result<Self, StoreError> {
        let db = open_db(path)?;
        version::bring_up_new(&db)?;
        Self::with(db, path)
    }

    /// Opens a store that the gateway has begun, that is of the current layout and that has not lost its end.
    fn open_begun(path: &Path) -> Result<Self, StoreError> {
        let db = open_db(path)?;
        version::refuse_other(&db)?;
        filling::refuse_unfinished(&db)?;
        let store = Self::with(db, path)?;
        store.refuse_behind()?;
        Ok(store)
    }

    fn with(db: sled::Db, path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            flusher: Arc::new(Flusher::start(db.clone(), path)?),
            exports: path.with_file_name(EXPORT_FOLDER).into(),
            devices: Tree(db.open_tree("devices")?),
            listings: Tree(db.open_tree("listings")?),
            positions: Tree(db.open_tree("positions")?),
            nonces: Tree(db.open_tree("nonces")?),
            sessions: Tree(db.open_tree("sessions")?),
            blocked: Tree(db.open_tree("blocked")?),
            previews: Tree(db.open_tree("previews")?),
            outage: Tree(db.open_tree("outage")?),
            history: HistoryTrees::open(&db)?,
            feeds: db.open_tree("feeds")?,
            subscriptions: db.open_tree("subscriptions")?,
            chain: db.open_tree("chain")?,
            blocks: db.open_tree("blocks")?,
            db,
        })
    }
}

fn open_db(path: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    config.open().map_err(|error| match error {
        damage @ sled::Error::Corruption { .. } => StoreError::Io(damage),
        error => StoreError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

/// Opens a store that was just closed: sled's own threads let go of the lock a moment after the last handle is gone.
#[cfg(test)]
pub(crate) fn when_free<T>(open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match open() {
            Err(StoreError::Open { .. }) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            other => return other,
        }
    }
}

impl Tree {
    /// Keeps a record; it is on the disk after the next [`Store::flush`].
    pub(crate) fn put<T: Serialize>(&self, key: &[u8], record: &T) -> Result<(), StoreError> {
        self.0.insert(key, serde_json::to_vec(record)?)?;
        Ok(())
    }

    /// Forgets a record.
    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.0.remove(key)?;
        Ok(())
    }

    /// All records with their keys.
    pub(crate) fn load<T: DeserializeOwned>(&self) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let records = self.0.iter().map(|item| {
            let (key, value) = item?;
            Ok((key.to_vec(), serde_json::from_slice(&value)?))
        });
        records.collect()
    }
}

#[cfg(test)]
mod tests;
