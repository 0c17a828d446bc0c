use ashya_protocol::Domain;
use ashya_protocol::rest::Registration;

use super::boot::{BOOT_FILE, boot_after};
use super::files::{to_json, write_beside};
use super::key::KEY_FILE;
use super::registration::REGISTRATION_FILE;
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
        assert_eq!(data.pinned_ledger().unwrap(), Some(domain(1, 1)));
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
