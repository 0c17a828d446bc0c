//! Everything the gateway keeps on disk. The only module that knows sled.

mod chain;
mod export;
mod flusher;
mod version;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::chain_clock::wall_clock;

pub(crate) use chain::{ChainCommit, Cursor, LedgerIdentity};
pub use export::ExportError;
pub(crate) use export::{back_up, write_file};
use flusher::Flusher;

/// Bytes of the secret behind nonces, sessions and device passwords.
const SECRET_BYTES: usize = 32;
const SECRET_KEY: &[u8] = b"secret";
/// Where exports lie, beside the store.
pub(crate) const EXPORT_FOLDER: &str = "export";

/// The gateway's store: sled trees in one folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: sled::Db,
    flusher: Arc<Flusher>,
    pub(crate) devices: Tree,
    pub(crate) listings: Tree,
    pub(crate) positions: Tree,
    pub(crate) nonces: Tree,
    pub(crate) sessions: Tree,
    pub(crate) blocked: Tree,
    pub(crate) previews: Tree,
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
    /// A key of the store has a wrong length.
    #[error("a key of the store cannot be read")]
    Key,
    /// The secret has a wrong length.
    #[error("the secret in the store is damaged")]
    Secret,
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Store {
    /// Opens the store in `path`, or makes it. A damaged one is set aside under another name and begun afresh with the
    /// last export that lies beside it; the chain brings back the index.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match open_sled(path) {
            Ok(db) => Self::with(db, path),
            Err(Damage::No(reason)) => Err(StoreError::Open {
                path: path.to_owned(),
                reason,
            }),
            Err(Damage::Yes(reason)) => {
                let aside = path.with_extension(format!("damaged-{}", wall_clock().as_secs()));
                tracing::error!(
                    path = %path.display(), aside = %aside.display(), %reason,
                    "the store is damaged: set it aside and begin a new one"
                );
                std::fs::rename(path, &aside)?;
                let db = open_sled(path).map_err(|damage| StoreError::Open {
                    path: path.to_owned(),
                    reason: damage.reason(),
                })?;
                let store = Self::with(db, path)?;
                if let Some(data) = path.parent() {
                    export::restore(&store, &data.join(EXPORT_FOLDER));
                }
                Ok(store)
            }
        }
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

    fn with(db: sled::Db, path: &Path) -> Result<Self, StoreError> {
        version::bring_up(&db)?;
        Ok(Self {
            flusher: Arc::new(Flusher::start(db.clone(), path)?),
            devices: Tree(db.open_tree("devices")?),
            listings: Tree(db.open_tree("listings")?),
            positions: Tree(db.open_tree("positions")?),
            nonces: Tree(db.open_tree("nonces")?),
            sessions: Tree(db.open_tree("sessions")?),
            blocked: Tree(db.open_tree("blocked")?),
            previews: Tree(db.open_tree("previews")?),
            feeds: db.open_tree("feeds")?,
            subscriptions: db.open_tree("subscriptions")?,
            chain: db.open_tree("chain")?,
            blocks: db.open_tree("blocks")?,
            db,
        })
    }
}

impl Tree {
    /// Keeps a record; it is on the disk after the next [`Store::flush`].
    pub(crate) fn put<T: Serialize>(&self, key: &[u8], record: &T) -> Result<(), StoreError> {
        self.0.insert(key, serde_json::to_vec(record)?)?;
        Ok(())
    }

    /// Keeps records, all of them or none; they are on the disk after the next [`Store::flush`].
    pub(crate) fn put_all<K: AsRef<[u8]>, T: Serialize>(
        &self,
        records: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, record) in records {
            batch.insert(key.as_ref(), serde_json::to_vec(&record)?);
        }
        Ok(self.0.apply_batch(batch)?)
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

enum Damage {
    Yes(String),
    No(String),
}

impl Damage {
    fn reason(self) -> String {
        match self {
            Self::Yes(reason) | Self::No(reason) => reason,
        }
    }
}

fn open_sled(path: &Path) -> Result<sled::Db, Damage> {
    let config = sled::Config::new().path(path);
    // A torn tail makes sled panic in places where it should return an error.
    match panic::catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error @ sled::Error::Corruption { .. })) => Err(Damage::Yes(error.to_string())),
        Ok(Err(error)) => Err(Damage::No(error.to_string())),
        Err(_) => Err(Damage::Yes("sled panicked while it read the log".into())),
    }
}

#[cfg(test)]
mod tests;
