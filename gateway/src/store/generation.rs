//! A number that rises with each export, by which a store is known that has lost its end.
//!
//! ```text
//!  store at 4 ──► 5, on the disk ──► its records are read ──► export of 5 in place
//!                      └── kill: the store is ahead of its export, and whole
//!  log cut off before the 5: store at 4, export of 5: behind, and the export is taken in once more
//! ```
//!
//! sled cuts its log off at a damaged place without a word, and opens. All that a store which is behind still has was
//! written before the export's records were read, so that the export has it too, or what came of it; history, index and
//! costs are in no export, and stay. What is lost after the last export was begun is not noticed, nor is a hole in the
//! middle of the log.

use super::{Store, StoreError, export};
use crate::chain_clock::wall_clock;

const KEY: &[u8] = b"generation";

impl Store {
    /// How many exports were begun; 0 in a store of a version that did not count them.
    pub(super) fn generation(&self) -> Result<u64, StoreError> {
        let generation = self.db.get(KEY)?;
        let generation = generation.map(|bytes| serde_json::from_slice(&bytes));
        Ok(generation.transpose()?.unwrap_or(0))
    }

    /// Begins the generation of an export that is to be written; one at a time. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the store or the disk fails.
    pub(super) fn raise_generation(&self) -> Result<(), StoreError> {
        self.set_generation(self.generation()?.saturating_add(1))?;
        self.flush_blocking()
    }

    /// Brings a store that was just filled up to the exports beside it: what it was filled with counts from then on, even
    /// where that is another export. It is not flushed.
    ///
    /// # Errors
    /// When the store fails, or the exports' folder cannot be read.
    pub(super) fn catch_up(&self) -> Result<(), StoreError> {
        let highest = export::highest_generation(&self.exports)?;
        if highest > self.generation()? {
            self.set_generation(highest)?;
        }
        Ok(())
    }

    /// Has a store that has lost its end take its last export in. What it holds now is written beside it first: nobody else
    /// has it, should the export turn out not to be its own.
    ///
    /// # Errors
    /// When the store or the disk fails, or the export can no longer be read.
    pub(super) fn make_up(&self) -> Result<(), StoreError> {
        let behind = match self.refuse_behind() {
            Err(behind @ StoreError::Behind { .. }) => behind,
            other => return other,
        };
        let name = format!("store.behind-{}.jsonl", wall_clock().as_secs());
        let kept = self.exports.with_file_name(name);
        export::keep_aside(self, &kept)?;
        tracing::error!(
            reason = %behind, kept = %kept.display(),
            "the store has lost its end: it takes its last export in"
        );
        self.fill_again()
    }

    /// Refuses a store whose last export is of a later generation. An export of another ledger says nothing of this one,
    /// nor does a damaged one.
    ///
    /// # Errors
    /// When it is behind, or fails, or an export cannot be read now that may be read later.
    pub(super) fn refuse_behind(&self) -> Result<(), StoreError> {
        let found = self.generation()?;
        let Some((path, contents)) = export::newest_if_later(&self.exports, found)? else {
            return Ok(());
        };
        if self.refuse_other_ledger(&contents).is_err() {
            return Ok(());
        }
        let exported = contents.generation;
        Err(StoreError::Behind {
            found,
            path,
            exported,
        })
    }

    pub(super) fn set_generation(&self, generation: u64) -> Result<(), StoreError> {
        self.db.insert(KEY, serde_json::to_vec(&generation)?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::path::{Path, PathBuf};

    use ashya_protocol::Address;

    use super::*;
    use crate::store::{EXPORT_FOLDER, LedgerIdentity, back_up, open_unchanged, when_free};

    /// Blocked devices and positions of [`apart`]'s store.
    const OF_THE_STORE: (usize, usize) = (0, 1);
    /// Those of its export.
    const OF_THE_EXPORT: (usize, usize) = (1, 0);

    fn held(store: &Store) -> (usize, usize) {
        let blocked = store.blocked.load::<u64>().unwrap().len();
        (blocked, store.positions.load::<u64>().unwrap().len())
    }

    fn identity(byte: u8) -> LedgerIdentity {
        LedgerIdentity {
            chain_id: 31_337,
            ledger: Address::new([byte; 20]),
        }
    }

    /// A store that has not what its export has, and the other way round. Both are of generation 2.
    fn apart(data: &Path) -> Store {
        let store = Store::open(&data.join("store")).unwrap();
        let exports = data.join(EXPORT_FOLDER);
        store.set_identity(identity(9)).unwrap();
        back_up(&store, &exports).unwrap();
        store.blocked.put(&[1; 20], &7_u64).unwrap();
        back_up(&store, &exports).unwrap();
        assert_eq!(store.generation().unwrap(), 2);
        store.blocked.remove(&[1; 20]).unwrap();
        store.positions.put(b"later", &7_u64).unwrap();
        store
    }

    fn kept_aside(data: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(data).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_kept = |path: &PathBuf| path.to_string_lossy().contains("store.behind-");
        paths.filter(is_kept).collect()
    }

    #[test]
    fn a_store_behind_its_export_takes_it_in_and_any_other_stays() {
        let rows = [
            ("an earlier version's", None, OF_THE_EXPORT),
            ("behind", Some(1), OF_THE_EXPORT),
            ("level", Some(2), OF_THE_STORE),
            ("a kill before the export", Some(3), OF_THE_STORE),
        ];
        for (name, generation, expected) in rows {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let store = apart(folder.path());
            store.db.remove(KEY).unwrap();
            if let Some(generation) = generation {
                store.set_generation(generation).unwrap();
            }
            let secret = store.secret().unwrap();
            drop(store);
            let is_behind = expected == OF_THE_EXPORT;
            let looked_at = when_free(|| open_unchanged(&path, |_| Ok(())));
            assert_eq!(looked_at.is_err(), is_behind, "{name}");
            let store = Store::reopen(&path);
            assert_eq!(held(&store), expected, "{name}");
            assert!(store.generation().unwrap() >= 2, "{name}");
            // What no export holds stays, and what the store had is kept.
            assert_eq!(store.secret().unwrap(), secret, "{name}");
            let kept = kept_aside(folder.path());
            assert_eq!(kept.len(), usize::from(is_behind), "{name}");
            for path in kept {
                let before = Store::temporary();
                before.import(fs::File::open(path).unwrap()).unwrap();
                assert_eq!(held(&before), OF_THE_STORE);
            }
            // What comes later stays.
            store.blocked.put(&[2; 20], &7_u64).unwrap();
            drop(store);
            let later = (expected.0 + 1, expected.1);
            assert_eq!(held(&Store::reopen(&path)), later, "{name}");
        }
    }

    #[test]
    fn a_log_that_lost_its_end_does_not_undo_a_block_that_was_exported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let exports = folder.path().join(EXPORT_FOLDER);
        let store = Store::open(&path).unwrap();
        store.blocked.put(&[1; 20], &7_u64).unwrap();
        back_up(&store, &exports).unwrap();
        let log = fs::read(path.join("db")).unwrap();
        store.blocked.put(&[2; 20], &7_u64).unwrap();
        back_up(&store, &exports).unwrap();
        drop(store);
        // As sled leaves it where what comes after is damaged.
        fs::write(path.join("db"), log).unwrap();
        let store = Store::reopen(&path);
        assert_eq!(held(&store), (2, 0));
        assert_eq!(store.generation().unwrap(), 2);
    }

    #[test]
    fn an_export_of_another_ledger_or_a_damaged_one_proves_nothing() {
        type Step = fn(&Store, &Path);
        let rows: [(&str, Step); 3] = [
            ("another ledger", |store, _| {
                store.set_identity(identity(8)).unwrap();
            }),
            ("damaged", |_, exports| {
                for entry in fs::read_dir(exports).unwrap() {
                    fs::write(entry.unwrap().path(), "torn").unwrap();
                }
            }),
            ("none", |_, exports| fs::remove_dir_all(exports).unwrap()),
        ];
        for (name, step) in rows {
            let folder = tempfile::tempdir().unwrap();
            let store = apart(folder.path());
            store.set_generation(1).unwrap();
            step(&store, &folder.path().join(EXPORT_FOLDER));
            drop(store);
            let store = Store::reopen(&folder.path().join("store"));
            assert_eq!(held(&store), OF_THE_STORE, "{name}");
        }
    }

    #[test]
    fn a_store_does_not_begin_beside_an_export_that_cannot_be_read_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(apart(folder.path()));
        let unread = folder
            .path()
            .join(EXPORT_FOLDER)
            .join("export-999999999998.jsonl");
        fs::create_dir(&unread).unwrap();
        let refused = when_free(|| Store::open(&path)).unwrap_err();
        assert!(matches!(refused, StoreError::Export { .. }), "{refused}");
        fs::remove_dir(&unread).unwrap();
        assert_eq!(held(&Store::reopen(&path)), OF_THE_STORE);
    }

    #[test]
    fn what_an_operator_imports_is_not_behind_the_exports_that_lie_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let before = apart(folder.path());
        before.set_generation(0).unwrap();
        let mut text = Vec::new();
        before.export(&mut text).unwrap();
        drop(before);
        fs::remove_dir_all(&path).unwrap();
        let store = when_free(|| Store::open_for_import(&path)).unwrap();
        store.import(Cursor::new(text)).unwrap();
        drop(store);
        assert_eq!(held(&Store::reopen(&path)), OF_THE_STORE);
    }
}
