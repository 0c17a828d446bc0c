use std::io::Cursor;

use super::folder::{KEPT, WHOLE, listed};
use super::*;
use crate::store::EXPORT_FOLDER;

fn filled() -> Store {
    let store = Store::temporary();
    for number in 0..2_500_u64 {
        let key = number.to_be_bytes();
        store.positions.put(&key, &number).unwrap();
    }
    store
        .devices
        .put(&[1; 20], &serde_json::json!({ "removed": 3 }))
        .unwrap();
    store.blocked.put(&[2; 20], &7).unwrap();
    store
}

/// The lines of an export with the last one, which makes it whole.
fn sealed(lines: &str, records: u64) -> String {
    let sha256 = hex::encode(Sha256::digest(lines));
    let footer = json(&Footer { records, sha256 }).unwrap();
    format!("{lines}{footer}\n")
}

#[test]
fn an_export_is_taken_in_whole_by_an_empty_store_alone() {
    let store = filled();
    let mut text = Vec::new();
    assert_eq!(store.export(&mut text).unwrap(), 2_502);
    let other = Store::temporary();
    assert_eq!(other.import(Cursor::new(&text)).unwrap(), 2_502);
    let records = other.positions.load::<u64>().unwrap();
    assert_eq!(records, store.positions.load::<u64>().unwrap());
    assert_eq!(other.blocked.load::<u64>().unwrap().len(), 1);
    let again = other.import(Cursor::new(&text));
    assert!(matches!(again, Err(ExportError::NotEmpty)));
}

#[test]
fn a_store_belongs_to_the_ledger_of_the_export_that_it_took_in() {
    let identity = |byte| LedgerIdentity {
        chain_id: 31_337,
        ledger: Address::new([byte; 20]),
    };
    let folder = tempfile::tempdir().unwrap();
    let store = filled();
    store.set_identity(identity(9)).unwrap();
    let mut text = Vec::new();
    store.export(&mut text).unwrap();
    let imported = Store::temporary();
    imported.import(Cursor::new(&text)).unwrap();
    assert_eq!(imported.identity().unwrap(), Some(identity(9)));
    back_up(&store, folder.path()).unwrap();
    let restored = Store::temporary();
    restore(&restored, folder.path()).unwrap();
    assert_eq!(restored.identity().unwrap(), Some(identity(9)));
    let other = Store::temporary();
    other.set_identity(identity(8)).unwrap();
    let refused = other.import(Cursor::new(&text));
    assert!(
        matches!(refused, Err(ExportError::OtherLedger { .. })),
        "{refused:?}"
    );
    assert_eq!(other.identity().unwrap(), Some(identity(8)));
    assert!(other.positions.load::<u64>().unwrap().is_empty());
}

#[test]
fn an_export_of_the_layout_before_is_taken_in_and_of_no_other() {
    let mut text = Vec::new();
    filled().export(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for (version, is_taken) in [(1, false), (2, true), (CURRENT, true), (CURRENT + 1, false)] {
        let written = format!("\"version\":{version}");
        let body = text.replacen(&format!("\"version\":{CURRENT}"), &written, 1);
        let (lines, _) = body.trim_end().rsplit_once('\n').unwrap();
        let whole = sealed(&format!("{lines}\n"), 2_502);
        let outcome = Store::temporary().import(Cursor::new(whole));
        assert_eq!(outcome.is_ok(), is_taken, "{version}: {outcome:?}");
    }
}

#[test]
fn an_export_without_a_generation_is_taken_in_and_leaves_no_store_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    filled().export(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let older = text.replacen(",\"generation\":0", "", 1);
    assert_ne!(older, text);
    let (lines, _) = older.trim_end().rsplit_once('\n').unwrap();
    let whole = sealed(&format!("{lines}\n"), 2_502);
    fs::write(folder.path().join("export-000000000001.jsonl"), &whole).unwrap();
    assert!(newest_if_later(folder.path(), 0).unwrap().is_none());
    assert_eq!(highest_generation(folder.path()).unwrap(), 0);
    let store = Store::temporary();
    assert_eq!(store.import(Cursor::new(whole)).unwrap(), 2_502);
    assert_eq!(store.generation().unwrap(), 0);
}

#[test]
fn a_damaged_export_changes_nothing() {
    let mut text = Vec::new();
    filled().export(&mut text).unwrap();
    let mut flipped = text.clone();
    flipped[2_000] ^= 1;
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 2_504);
    for bad in [
        &b""[..],
        b"{}",
        &text[..text.len() / 2],
        &text[..text.len() - 20],
        &flipped,
        &text[60..],
    ] {
        let store = Store::temporary();
        assert!(store.import(Cursor::new(bad)).is_err());
        assert!(store.positions.load::<u64>().unwrap().is_empty());
    }
}

#[test]
fn two_exports_are_kept_and_the_newest_whole_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled();
    for name in ["export-000000000001.jsonl", "export-000000000002.jsonl"] {
        fs::write(folder.path().join(name), "torn").unwrap();
    }
    back_up(&store, folder.path()).unwrap();
    let kept = listed(folder.path(), WHOLE).unwrap();
    assert_eq!(kept.len(), KEPT);
    fs::write(folder.path().join("export-999999999998.jsonl"), "torn").unwrap();
    fs::write(folder.path().join("export-999999999999.jsonl"), b"\xff").unwrap();
    let other = Store::temporary();
    restore(&other, folder.path()).unwrap();
    assert_eq!(other.positions.load::<u64>().unwrap().len(), 2_500);
}

#[test]
fn an_export_is_the_newest_also_where_the_clock_has_gone_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled();
    for second in [999_999_999_996_u64, 999_999_999_998] {
        let path = folder.path().join(format!("export-{second}.jsonl"));
        write_file(&store, &path).unwrap();
    }
    // Not by its name, and it stays.
    let other = folder.path().join("export-of-monday.jsonl");
    write_file(&store, &other).unwrap();
    store.blocked.put(&[5; 20], &7).unwrap();
    back_up(&store, folder.path()).unwrap();
    assert!(other.exists());
    let other = Store::temporary();
    restore(&other, folder.path()).unwrap();
    assert_eq!(other.blocked.load::<u64>().unwrap().len(), 2);
}

#[test]
fn an_export_that_fails_half_way_makes_room_for_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    filled().export(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let (lines, _) = text.trim_end().rsplit_once('\n').unwrap();
    let stranger = r#"{"tree":"strangers","key":"00","value":1}"#;
    let whole = sealed(&format!("{lines}\n{stranger}\n"), 2_503);
    fs::write(folder.path().join("export-000000000002.jsonl"), whole).unwrap();
    let store = Store::temporary();
    restore(&store, folder.path()).unwrap();
    let trees = store.exported();
    assert!(trees.iter().all(|(_, tree)| tree.0.is_empty()));
    let before = Store::temporary();
    before.blocked.put(&[5; 20], &7).unwrap();
    let path = folder.path().join("export-000000000001.jsonl");
    write_file(&before, &path).unwrap();
    restore(&store, folder.path()).unwrap();
    assert!(store.positions.load::<u64>().unwrap().is_empty());
    let blocked = store.blocked.load::<u64>().unwrap();
    assert_eq!(blocked, [(vec![5; 20], 7)]);
}

#[test]
fn a_store_that_left_a_later_export_out_is_not_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let exports = folder.path().join(EXPORT_FOLDER);
    fs::create_dir(&exports).unwrap();
    let before = Store::temporary();
    before.blocked.put(&[5; 20], &7).unwrap();
    write_file(&before, &exports.join("export-000000000001.jsonl")).unwrap();
    before.set_generation(9).unwrap();
    let mut text = Vec::new();
    before.export(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let (lines, _) = text.trim_end().rsplit_once('\n').unwrap();
    let stranger = r#"{"tree":"strangers","key":"00","value":1}"#;
    let whole = sealed(&format!("{lines}\n{stranger}\n"), 2);
    fs::write(exports.join("export-000000000002.jsonl"), whole).unwrap();
    let path = folder.path().join("store");
    for blocked in 1..4 {
        let store = Store::reopen(&path);
        assert_eq!(store.blocked.load::<u64>().unwrap().len(), blocked);
        store.blocked.put(&[blocked as u8; 20], &7).unwrap();
    }
}

#[test]
fn an_export_that_fails_or_is_killed_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let store = filled();
    fs::write(folder.path().join("export-000000000001.partial"), "half").unwrap();
    back_up(&store, folder.path()).unwrap();
    assert_eq!(files(), 1);
    store.positions.0.insert([9; 8], b"{not json").unwrap();
    assert!(back_up(&store, folder.path()).is_err());
    assert!(write_file(&store, &folder.path().join("mine.jsonl")).is_err());
    assert_eq!(files(), 1);
}
