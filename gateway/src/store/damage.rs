//! What happens to a store that cannot be read: it is set aside, and another one is begun.
//!
//! ```text
//!  damaged log, or a record that nobody can read ──► store.damaged-… ──► new store ◄── last export
//!                                                                           ▲── chain: the index
//! ```
//!
//! What an export does not hold begins anew: history, and what was written after the export. Where the last export holds
//! what cannot be read, the one before takes its place, and at last none does.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use super::{Store, StoreError, export};
use crate::chain_clock::wall_clock;
use crate::chained::Chained;

impl StoreError {
    /// Whether the store holds what cannot be read, so that trying again would not help.
    pub(crate) const fn is_damage(&self) -> bool {
        match self {
            Self::Record(_) | Self::Key | Self::Secret | Self::Panicked | Self::Damaged(_) => true,
            Self::Io(error) => matches!(error, sled::Error::Corruption { .. }),
            Self::Open { .. } | Self::Flush(_) | Self::Random(_) => false,
            Self::Newer { .. } | Self::Older { .. } | Self::NotBegun | Self::HalfImported => false,
            Self::Behind { .. } => false,
            // What is wrong is beside the store.
            Self::Export { .. } => false,
        }
    }
}

impl Store {
    /// Opens the store in `path`, or makes it, for [`Self::import`]: no export is taken in by itself. An older one is not
    /// brought up: the folder may be that of another gateway, given by mistake.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or is of another layout.
    pub(crate) fn open_for_import(path: &Path) -> Result<Self, StoreError> {
        not_replaced(|| Self::open_new_or_current(path))
    }

    /// Sets the store in `path` aside, and begins another one with the last export. When that is stopped half-way, the
    /// next [`Self::open`] begins it again.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn begin_anew(path: &Path, damage: &StoreError) -> Result<Self, StoreError> {
        let aside = free_name(path);
        tracing::error!(
            path = %path.display(), aside = %aside.display(), reason = %Chained(damage),
            "the store is damaged: set it aside and begin a new one"
        );
        std::fs::rename(path, &aside)?;
        Self::open_and_begin(path)
    }
}

/// Opens the store in `path` and has it read. One that holds records which `load` cannot read is set aside like any
/// other damaged store, and `load` reads the new one: with the last export, or with one before it where that cannot be
/// read either, or empty.
///
/// # Errors
/// When the store cannot be opened, or `load` fails for another reason or even on an empty store.
pub(crate) fn open_and_load<T, E: From<StoreError>>(
    path: &Path,
    load: impl Fn(Store) -> Result<T, E>,
    damage_of: impl Fn(&E) -> Option<&StoreError>,
) -> Result<T, E> {
    let load = |store| {
        let loaded = panic::catch_unwind(AssertUnwindSafe(|| load(store)));
        loaded.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    };
    let error = match load(Store::open(path)?) {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    let Some(damage) = damage_of(&error).filter(|error| error.is_damage()) else {
        return Err(error);
    };
    let store = Store::begin_anew(path, damage)?;
    loop {
        let loaded = load(store.clone());
        let damage = loaded.as_ref().err().and_then(&damage_of);
        // A panic is rather a fault of ours than of what an export brought.
        let is_unreadable =
            |error: &&StoreError| error.is_damage() && !matches!(error, StoreError::Panicked);
        let Some(damage) = damage.filter(is_unreadable) else {
            return loaded;
        };
        // All that is in the store came from that export.
        let Some(aside) = export::set_newest_aside(&store.exports)? else {
            return loaded;
        };
        tracing::error!(
            aside = %aside.display(), reason = %Chained(damage),
            "the last export holds what cannot be read: set it aside and begin with the one before"
        );
        store.begin_again()?;
    }
}

/// Opens the store that is in `path` and has it read. It is neither set aside nor brought to another layout, which is for
/// the gateway to do. Its records stay as they are, but opening alone may cut a torn end off the log and make trees that
/// are missing.
///
/// # Errors
/// When it cannot be opened or read, was not begun to its end, or is of another layout.
pub(crate) fn open_unchanged<T>(
    path: &Path,
    load: impl FnOnce(Store) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    not_replaced(|| load(Store::open_begun(path)?))
}

fn not_replaced<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    unbroken(work).map_err(|error| match error {
        damage if damage.is_damage() => StoreError::Damaged(Box::new(damage)),
        other => other,
    })
}

/// A damaged page makes sled panic in places where it should return an error.
pub(crate) fn unbroken<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Panicked))
}

/// A name beside the store that nothing has yet.
fn free_name(path: &Path) -> std::path::PathBuf {
    let second = wall_clock().as_secs();
    let names = (second..).map(|number| path.with_extension(format!("damaged-{number}")));
    let mut free = names.filter(|name| !name.exists());
    free.next()
        .unwrap_or_else(|| path.with_extension("damaged"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ashya_protocol::{DeviceId, Position};

    use super::*;
    use crate::positions::Positions;
    use crate::registry::Blocklist;
    use crate::store::{EXPORT_FOLDER, NewEvent, back_up, when_free, write_file};
    use crate::stream::StreamKey;

    fn set_aside(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().filter_map(Result::ok);
        let aside = names.filter(|entry| entry.file_name().to_string_lossy().contains("damaged-"));
        aside.count()
    }

    fn event(seq: u64) -> NewEvent {
        NewEvent {
            key: StreamKey {
                device: DeviceId::new([1; 20]),
                stream: "detections".parse().unwrap(),
            },
            position: position(seq),
            at: 1_800_000_000 + seq,
            lost: None,
            feeds: Vec::new(),
            envelope: vec![7; 300].into(),
        }
    }

    fn position(seq: u64) -> Position {
        Position {
            boot: 3.try_into().unwrap(),
            seq: seq.try_into().unwrap(),
        }
    }

    /// All that a gateway reads when it starts, and what it does then.
    fn run(store: &Store) -> Result<usize, StoreError> {
        let blocked = Blocklist::load(store.clone())?.all().len();
        Positions::load(store.clone())?;
        store.secret()?;
        store.load_chain()?;
        Ok(blocked)
    }

    fn is_damage(error: &StoreError) -> Option<&StoreError> {
        Some(error)
    }

    fn load(path: &Path) -> Result<usize, StoreError> {
        when_free(|| open_and_load(path, |store| run(&store), is_damage))
    }

    fn fill(data: &Path) -> Store {
        let store = Store::open(&data.join("store")).unwrap();
        store.secret().unwrap();
        store.blocked.put(&[1; 20], &7_u64).unwrap();
        back_up(&store, &data.join(EXPORT_FOLDER)).unwrap();
        let events: Vec<_> = (0..2_000).map(event).collect();
        let key = [&[1; 20][..], b"detections"].concat();
        for batch in events.chunks(50) {
            let position = batch.last().unwrap().position;
            store
                .keep_accepted([(key.clone(), Some(position))], batch)
                .unwrap();
            store.flush_blocking().unwrap();
        }
        store
    }

    #[test]
    fn a_store_with_a_record_that_nobody_can_read_is_set_aside() {
        type Damage = fn(&Store);
        let rows: [(&str, Damage); 7] = [
            ("no JSON", |store| {
                store.positions.0.insert([1; 30], b"{not json").unwrap();
            }),
            ("another shape", |store| {
                store.blocked.put(&[2; 20], &"yesterday").unwrap();
            }),
            ("a key too short", |store| {
                store.blocked.put(&[2; 3], &7_u64).unwrap();
            }),
            ("the secret", |store| {
                store.db.insert(super::super::SECRET_KEY, b"short").unwrap();
            }),
            ("the layout", |store| {
                store.db.insert(b"version", b"two").unwrap();
            }),
            ("the generation", |store| {
                store.db.insert(b"generation", b"two").unwrap();
            }),
            ("the cursor", |store| {
                store.chain.insert("cursor", b"{}").unwrap();
            }),
        ];
        for (name, damage) in rows {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            fill(folder.path());
            damage(&when_free(|| Store::open(&path)).unwrap());
            let loaded = load(&path);
            // What the export had is there again.
            assert_eq!(loaded.unwrap(), 1, "{name}");
            assert_eq!(set_aside(folder.path()), 1, "{name}");
            assert_eq!(load(&path).unwrap(), 1, "{name}");
            assert_eq!(set_aside(folder.path()), 1, "{name}");
        }
    }

    #[test]
    fn an_export_with_a_record_that_nobody_can_read_makes_room_for_the_one_before() {
        for good in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let exports = folder.path().join(EXPORT_FOLDER);
            fs::create_dir(&exports).unwrap();
            let store = Store::open(&path).unwrap();
            store.blocked.put(&[1; 20], &7_u64).unwrap();
            for number in 0..3 {
                if number == good {
                    store.blocked.put(&[2; 3], &7_u64).unwrap();
                }
                let name = format!("export-{number:012}.jsonl");
                write_file(&store, &exports.join(name)).unwrap();
            }
            drop(store);
            for _ in 0..2 {
                assert_eq!(load(&path).unwrap(), good, "{good} good ones");
                assert_eq!(set_aside(folder.path()), 1, "{good} good ones");
            }
            let kept = fs::read_dir(&exports).unwrap().count();
            assert_eq!(kept, 3, "{good} good ones");
        }
    }

    #[test]
    fn whoever_is_not_the_gateway_leaves_a_damaged_store_as_it_is() {
        type Damage = fn(&Path);
        let rows: [(&str, Damage); 2] = [
            ("the log", |path| {
                fs::write(path.join("conf"), "damaged beyond reading").unwrap();
            }),
            ("a record", |path| {
                let store = when_free(|| Store::open(path)).unwrap();
                store.blocked.put(&[2; 3], &7_u64).unwrap();
            }),
        ];
        for (name, damage) in rows {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            fill(folder.path());
            damage(&path);
            let looked = when_free(|| open_unchanged(&path, |store| run(&store)));
            assert!(
                matches!(looked, Err(StoreError::Damaged(_))),
                "{name}: {looked:?}"
            );
            assert_eq!(set_aside(folder.path()), 0, "{name}");
            assert_eq!(load(&path).unwrap(), 1, "{name}");
            assert_eq!(set_aside(folder.path()), 1, "{name}");
        }
    }

    #[test]
    fn a_store_that_is_held_or_newer_is_not_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fill(folder.path());
        let held = when_free(|| Store::open(&path)).unwrap();
        assert!(open_and_load(&path, |store| run(&store), is_damage).is_err());
        held.db.insert(b"version", b"99").unwrap();
        drop(held);
        let newer = load(&path);
        assert!(matches!(newer, Err(StoreError::Newer { .. })));
        assert_eq!(set_aside(folder.path()), 0);
    }

    /// Wherever the log is hit, the gateway starts with what the last export has, and goes on. About one hit in four is
    /// beyond repair, so that a few more than usual may be needed until there is one.
    #[test]
    fn a_store_damaged_anywhere_lets_the_gateway_start() {
        const USUAL: u64 = 12;
        let (mut intact, mut anew, mut holes) = (0, 0, 0);
        for seed in 0..10 * USUAL {
            if seed >= USUAL && anew > 0 {
                break;
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let store = fill(folder.path());
            store.blocked.put(&[2; 20], &8_u64).unwrap();
            back_up(&store, &folder.path().join(EXPORT_FOLDER)).unwrap();
            drop(store);
            let file = path.join("db");
            let mut bytes = fs::read(&file).unwrap();
            let length = bytes.len() as u64;
            let at = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % length;
            for offset in 0..64 {
                let at = ((at + offset * 17) % length) as usize;
                bytes[at] ^= 0x5a;
            }
            fs::write(&file, bytes).unwrap();
            let blocked = load(&path).unwrap();
            assert_eq!(blocked, 2, "seed {seed}");
            if set_aside(folder.path()) == 1 {
                anew += 1;
            } else {
                intact += 1;
            }
            let store = when_free(|| Store::open(&path)).unwrap();
            let key = event(0).key;
            let read = unbroken(|| {
                let events = store.history.after(&key, position(0));
                events
                    .collect::<Result<Vec<_>, _>>()
                    .map(|events| events.len())
            });
            let written = unbroken(|| {
                let record = (vec![9; 30], Some(position(9_000)));
                store.keep_accepted([record], &[event(9_000)])?;
                store.flush_blocking()
            });
            let pruned = unbroken(|| {
                while store.history.prune(u64::MAX, 0)?.is_some() {}
                Ok(())
            });
            println!("seed {seed}: read {read:?}, written {written:?}, pruned {pruned:?}");
            holes += usize::from(read.is_err());
            assert!(written.is_ok(), "seed {seed}: {written:?}");
        }
        println!("{intact} intact, {anew} begun anew, {holes} with holes");
        assert!(anew > 0);
    }
}
