//! The layout of the store, and how an older one becomes the current one.

use serde_json::{Value, json};

use super::StoreError;
use super::chain::CURSOR_KEY;
use super::filling::{self, Source};
use crate::chain_clock::wall_clock;

/// The layout that this version writes.
pub(crate) const CURRENT: u64 = 4;
/// The first layout whose exports look like the present one's.
pub(super) const SAME_EXPORTS_SINCE: u64 = 2;
const KEY: &[u8] = b"version";
/// What stores had before they had a version.
const SECRET_KEY: &[u8] = super::SECRET_KEY;

type Step = fn(&sled::Db) -> Result<(), StoreError>;

/// What makes layout 2 of layout 1, and so on.
const STEPS: [Step; CURRENT as usize - 1] = [
    date_registrations,
    read_the_chain_again,
    read_the_chain_again,
];

/// Brings a store to the current layout, a step at a time: a kill in between repeats one step, and each may be repeated.
/// A new one is marked, so that the last export is taken in.
///
/// # Errors
/// When it is newer than this version, or fails.
pub(super) fn bring_up(db: &sled::Db) -> Result<(), StoreError> {
    let found = known_version(db)?;
    if is_new(db) {
        filling::mark(db, Source::Exports)?;
    }
    for version in found..CURRENT {
        tracing::info!(
            from = version,
            to = version + 1,
            "the store's layout is brought up"
        );
        STEPS[version as usize - 1](db)?;
        set(db, version + 1)?;
    }
    set(db, CURRENT)
}

/// [`bring_up`] of a new store alone.
///
/// # Errors
/// When it is older or newer, or fails.
pub(super) fn bring_up_new(db: &sled::Db) -> Result<(), StoreError> {
    match refuse_other(db) {
        Err(StoreError::NotBegun) => bring_up(db),
        other => other,
    }
}

/// Refuses a store of any but the current layout.
///
/// # Errors
/// When it is new, older or newer, or fails.
pub(super) fn refuse_other(db: &sled::Db) -> Result<(), StoreError> {
    let found = known_version(db)?;
    if is_new(db) {
        return Err(StoreError::NotBegun);
    }
    if found < CURRENT {
        let current = CURRENT;
        return Err(StoreError::Older { found, current });
    }
    Ok(())
}

/// Whether nothing was ever in it: it has no tree but the one that sled makes by itself.
fn is_new(db: &sled::Db) -> bool {
    db.tree_names().len() <= 1
}

fn known_version(db: &sled::Db) -> Result<u64, StoreError> {
    let found = version(db)?;
    if found > CURRENT {
        return Err(StoreError::Newer {
            found,
            known: CURRENT,
        });
    }
    Ok(found)
}

fn version(db: &sled::Db) -> Result<u64, StoreError> {
    match db.get(KEY)? {
        Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
        None if db.contains_key(SECRET_KEY)? => Ok(1),
        // A new one.
        None => Ok(CURRENT),
    }
}

fn set(db: &sled::Db, version: u64) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(&version)?;
    if db.get(KEY)?.as_deref() != Some(&bytes) {
        db.insert(KEY, bytes)?;
        db.flush()?;
    }
    Ok(())
}

/// Layout 2: a registration carries the time at which it came, `{"signed":…,"at":…}`.
fn date_registrations(db: &sled::Db) -> Result<(), StoreError> {
    let devices = db.open_tree("devices")?;
    let now = wall_clock().as_secs();
    for item in devices.iter() {
        let (key, value) = item?;
        let mut entry: Value = serde_json::from_slice(&value)?;
        let Some(registered) = entry.get_mut("registered") else {
            continue;
        };
        if registered.get("signed").is_none() {
            *registered = json!({ "signed": registered.take(), "at": now });
            devices.insert(key, serde_json::to_vec(&entry)?)?;
        }
    }
    Ok(())
}

/// Layout 3: subscriptions and feeds remember what was paid and paused before. Layout 4: subscriptions name a block. Only
/// the chain still knows that of what an earlier version has applied.
fn read_the_chain_again(db: &sled::Db) -> Result<(), StoreError> {
    db.open_tree("chain")?.remove(CURSOR_KEY)?;
    for tree in ["feeds", "subscriptions", "blocks"] {
        db.open_tree(tree)?.clear()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, DeviceId, Domain};

    use super::*;
    use crate::registry::Registry;
    use crate::store::{Store, open_unchanged, when_free};

    const DEVICE: &str = "0x4f9f8d4f5d2e2b6a2c4a3f1d0c9b8a7968574635";
    const DOMAIN: Domain = Domain {
        chain_id: 31_337,
        ledger: Address::new([9; 20]),
    };

    #[test]
    fn a_store_of_layout_1_is_brought_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let device: DeviceId = DEVICE.parse().unwrap();
        {
            // Byte for byte what the version before layouts had numbers wrote.
            let db = sled::open(&path).unwrap();
            db.insert(SECRET_KEY, &[5; 32]).unwrap();
            let devices = db.open_tree("devices").unwrap();
            let entry = format!(
                r#"{{"registered":{{"registration":{{"device":"{DEVICE}","owner":"0x{}","revision":4,"title":"Gate","description":"","streams":["detections"]}},"signature":"0x{}"}}}}"#,
                "11".repeat(20),
                "22".repeat(65),
            );
            devices.insert(device.as_bytes(), entry.as_bytes()).unwrap();
            devices.insert([7; 20], br#"{"removed":9}"#).unwrap();
            let position = br#"{"boot":3,"seq":41}"#;
            let key = [device.as_bytes().as_slice(), b"detections"].concat();
            db.open_tree("positions")
                .unwrap()
                .insert(key, position)
                .unwrap();
            db.flush().unwrap();
        }
        for _ in 0..2 {
            let store = Store::reopen(&path);
            assert_eq!(store.secret().unwrap(), [5; 32]);
            let registry = Registry::load(store.clone(), DOMAIN, 10).unwrap();
            let registration = registry.device(device).unwrap();
            assert_eq!(
                (registration.revision, registration.title.as_str()),
                (4, "Gate")
            );
            assert_eq!(registry.devices().len(), 1);
            assert_eq!(store.positions.load::<Value>().unwrap()[0].1["seq"], 41);
        }
    }

    #[test]
    fn the_chain_is_read_again_where_an_earlier_version_has_forgotten_what_was_paid() {
        for version in [2, 3] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            {
                let store = Store::open(&path).unwrap();
                store.secret().unwrap();
                store.blocked.put(&[1; 20], &7).unwrap();
                store.chain.insert("identity", b"{}").unwrap();
                store.chain.insert(CURSOR_KEY, b"{}").unwrap();
                store.feeds.insert([5; 32], b"{}").unwrap();
                set(&store.db, version).unwrap();
            }
            let store = Store::reopen(&path);
            assert!(store.load_chain().unwrap().is_none() && store.feeds.is_empty());
            // Whose chain it is stays known.
            assert!(store.chain.contains_key("identity").unwrap());
            assert_eq!(store.blocked.load::<u64>().unwrap().len(), 1);
        }
    }

    #[test]
    fn an_older_store_is_brought_up_by_the_gateway_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        {
            let store = Store::open(&path).unwrap();
            set(&store.db, 2).unwrap();
        }
        let look = || when_free(|| open_unchanged(&path, |_| Ok(())));
        for _ in 0..2 {
            let looked = look();
            let older = matches!(looked, Err(StoreError::Older { found: 2, .. }));
            assert!(older, "{looked:?}");
            let opened = when_free(|| Store::open_for_import(&path));
            let older = matches!(opened, Err(StoreError::Older { found: 2, .. }));
            assert!(older, "{opened:?}");
        }
        drop(Store::reopen(&path));
        look().unwrap();
    }

    #[test]
    fn a_newer_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        {
            let db = Store::open(&path).unwrap().db;
            db.insert(KEY, serde_json::to_vec(&(CURRENT + 1)).unwrap())
                .unwrap();
            db.flush().unwrap();
        }
        let error = when_free(|| Store::open(&path)).unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        assert!(path.exists());
    }
}
