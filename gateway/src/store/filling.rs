//! How a store gets its first records. A mark stands in it from before the first of them until after the last, so that
//! one that was stopped half-way is seen as such.
//!
//! ```text
//!  new ──► marked ──► emptied ──► the last export, or a file ──► mark gone: the gateway may use it
//!                        ▲                 │
//!                        └─────────────────┘ kill, power cut, full disk
//! ```
//!
//! sled's log keeps the order in which it was written: where the end of the mark is on the disk, all before it is too.

use std::thread;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, export};

const KEY: &[u8] = b"filling";

/// Where the records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// The exports that lie beside the store.
    Exports,
    /// A file that the operator has: only they can begin again.
    File,
}

impl Store {
    /// Takes the last export that lies beside the store in, when it is new or was stopped while it did so.
    ///
    /// # Errors
    /// When the disk fails, an export cannot be read now that may be read later, or an import was stopped half-way.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        match mark_of(&self.db)? {
            None => Ok(()),
            Some(Source::File) => Err(StoreError::HalfImported),
            Some(Source::Exports) => self.fill_from_exports(),
        }
    }

    /// Begins once more. Only for a store that holds nothing but what an export brought.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(super) fn begin_again(&self) -> Result<(), StoreError> {
        waiting(|| {
            mark(&self.db, Source::Exports)?;
            // Whose ledger it is came with the export, too.
            self.chain.clear()?;
            self.fill_from_exports()
        })
    }

    /// Takes the last export in once more. What no export holds stays as it is.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(super) fn fill_again(&self) -> Result<(), StoreError> {
        mark(&self.db, Source::Exports)?;
        self.fill_from_exports()
    }

    fn fill_from_exports(&self) -> Result<(), StoreError> {
        self.fill(|| export::restore(self, &self.exports))
    }

    /// Empties a marked store and has `work` fill it; then the mark goes. All of it is on the disk when this returns.
    ///
    /// # Errors
    /// When `work` or the disk fails; then the mark stays.
    pub(super) fn fill<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.clear_exported()?;
        let filled = work()?;
        self.catch_up()?;
        self.db.remove(KEY).map_err(StoreError::from)?;
        self.flush_blocking()?;
        Ok(filled)
    }
}

/// Does what waits for the disk on a thread of its own: whoever opens the store may drive tasks on this one.
pub(super) fn waiting<T: Send>(
    work: impl FnOnce() -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("store-fill".into());
        let done = thread.spawn_scoped(scope, work)?.join();
        done.unwrap_or(Err(StoreError::Panicked))
    })
}

/// Marks a store: it is to be filled.
pub(super) fn mark(db: &sled::Db, source: Source) -> Result<(), StoreError> {
    db.insert(KEY, serde_json::to_vec(&source)?)?;
    Ok(())
}

/// From where a store is to be filled; nothing when it is not, or no longer.
pub(super) fn mark_of(db: &sled::Db) -> Result<Option<Source>, StoreError> {
    let mark = db.get(KEY)?;
    Ok(mark
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()?)
}

/// Refuses a store that is still to be filled.
///
/// # Errors
/// Says by whom.
pub(super) fn refuse_unfinished(db: &sled::Db) -> Result<(), StoreError> {
    match mark_of(db)? {
        None => Ok(()),
        Some(Source::Exports) => Err(StoreError::NotBegun),
        Some(Source::File) => Err(StoreError::HalfImported),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Cursor, Read, Seek, SeekFrom};
    use std::path::Path;

    use super::*;
    use crate::store::{EXPORT_FOLDER, back_up, open_unchanged, when_free};

    const RECORDS: u64 = 2_000;

    /// An export that can be read to its end once, and then only in part.
    struct Torn {
        text: Cursor<Vec<u8>>,
        left: usize,
    }

    impl Torn {
        fn new(text: &[u8]) -> Self {
            let text = Cursor::new(text.to_vec());
            let left = usize::MAX;
            Self { text, left }
        }
    }

    impl Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            let most = buffer.len().min(self.left);
            let read = self.text.read(&mut buffer[..most])?;
            self.left -= read;
            Ok(read)
        }
    }

    impl Seek for Torn {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.left = self.text.get_ref().len() / 2;
            self.text.seek(to)
        }
    }

    fn fill(path: &Path) -> Store {
        let store = Store::open(path).unwrap();
        for number in 0..RECORDS {
            let key = number.to_be_bytes();
            store.positions.put(&key, &number).unwrap();
        }
        store
    }

    fn exported(store: &Store) -> Vec<u8> {
        let mut text = Vec::new();
        store.export(&mut text).unwrap();
        text
    }

    fn positions(store: &Store) -> u64 {
        store.positions.load::<u64>().unwrap().len() as u64
    }

    #[test]
    fn a_new_store_begins_with_the_last_export_also_after_it_was_stopped_half_way() {
        type Stop = fn(&Path);
        let rows: [(&str, Stop); 3] = [
            ("before there was anything", |path| {
                fs::remove_dir_all(path).unwrap();
            }),
            ("when sled had made its files", |path| {
                fs::remove_dir_all(path).unwrap();
                drop(sled::open(path).unwrap());
            }),
            ("when some records were there", |path| {
                let store = Store::reopen(path);
                mark(&store.db, Source::Exports).unwrap();
                store.positions.0.clear().unwrap();
                store.positions.put(b"half-way", &7_u64).unwrap();
            }),
        ];
        for (name, stop) in rows {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let store = fill(&path);
            back_up(&store, &folder.path().join(EXPORT_FOLDER)).unwrap();
            drop(store);
            stop(&path);
            let store = Store::reopen(&path);
            assert_eq!(positions(&store), RECORDS, "{name}");
            assert_eq!(mark_of(&store.db).unwrap(), None, "{name}");
            // What comes later stays.
            store.positions.put(b"later", &7_u64).unwrap();
            drop(store);
            assert_eq!(positions(&Store::reopen(&path)), RECORDS + 1, "{name}");
        }
    }

    #[test]
    fn an_export_that_cannot_be_read_ends_the_start_and_is_not_passed_over() {
        const NEWEST: &str = "export-999999999999.jsonl";
        type Step = fn(&Path);
        let rows: [(&str, Step, Step); 3] = [
            (
                "the export",
                |exports| fs::create_dir(exports.join(NEWEST)).unwrap(),
                |exports| fs::remove_dir(exports.join(NEWEST)).unwrap(),
            ),
            (
                "a later layout",
                |exports| {
                    let header = r#"{"ashya":"gateway-store","version":99,"at":1}"#;
                    fs::write(exports.join(NEWEST), header).unwrap();
                },
                |exports| fs::remove_file(exports.join(NEWEST)).unwrap(),
            ),
            (
                "the folder",
                |exports| {
                    fs::rename(exports, exports.with_extension("away")).unwrap();
                    fs::write(exports, "no folder").unwrap();
                },
                |exports| {
                    fs::remove_file(exports).unwrap();
                    fs::rename(exports.with_extension("away"), exports).unwrap();
                },
            ),
        ];
        for (name, hinder, mend) in rows {
            let folder = tempfile::tempdir().unwrap();
            let exports = folder.path().join(EXPORT_FOLDER);
            back_up(&fill(&folder.path().join("before")), &exports).unwrap();
            let path = folder.path().join("store");
            hinder(&exports);
            for _ in 0..2 {
                let opened = when_free(|| Store::open(&path));
                let told = matches!(opened, Err(StoreError::Export { .. }));
                assert!(told, "{name}: {opened:?}");
            }
            mend(&exports);
            assert_eq!(positions(&Store::reopen(&path)), RECORDS, "{name}");
        }
    }

    #[test]
    fn nobody_but_the_gateway_begins_a_new_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(sled::open(&path).unwrap());
        let look = || when_free(|| open_unchanged(&path, |_| Ok(())));
        assert!(matches!(look(), Err(StoreError::NotBegun)));
        drop(Store::reopen(&path));
        look().unwrap();
    }

    #[test]
    fn an_import_that_stops_half_way_is_seen_and_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let text = exported(&fill(&folder.path().join("before")));
        let path = folder.path().join("store");
        {
            let store = Store::open_for_import(&path).unwrap();
            assert!(store.import(Torn::new(&text)).is_err());
            assert!((1..RECORDS).contains(&positions(&store)));
        }
        let opened = when_free(|| Store::open(&path));
        assert!(matches!(opened, Err(StoreError::HalfImported)));
        let looked = when_free(|| open_unchanged(&path, |_| Ok(())));
        assert!(matches!(looked, Err(StoreError::HalfImported)));
        let store = when_free(|| Store::open_for_import(&path)).unwrap();
        assert_eq!(store.import(Cursor::new(&text)).unwrap(), RECORDS);
        drop(store);
        assert_eq!(positions(&Store::reopen(&path)), RECORDS);
    }
}
