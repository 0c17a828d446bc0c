use ashya_protocol::{Address, FeedId, Hash};

use super::chain::KeptChain;
use super::*;
use crate::ledger_index::{Delta, FeedRecord, Snapshot, SubscriptionKey, SubscriptionRecord};

fn cursor(number: u64) -> Cursor {
    Cursor {
        number,
        hash: Hash::new([1; 32]),
        deployment_hash: Hash::new([2; 32]),
    }
}

fn block(number: u64) -> JournalBlock {
    JournalBlock {
        id: BlockId {
            number,
            hash: Hash::new([1; 32]),
        },
        parent: Hash::new([1; 32]),
        undo: delta(&[number as u8], Presence::Gone),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    There,
    Gone,
}

fn delta(feeds: &[u8], presence: Presence) -> Delta {
    let there = presence == Presence::There;
    let snapshot = snapshot(feeds);
    let (feeds, subscriptions) = (snapshot.feeds, snapshot.subscriptions);
    Delta {
        feeds: feeds
            .into_iter()
            .map(|(id, record)| (id, there.then_some(record)))
            .collect(),
        subscriptions: subscriptions
            .into_iter()
            .map(|(key, record)| (key, there.then_some(record)))
            .collect(),
    }
}

fn snapshot(feeds: &[u8]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for &byte in feeds {
        let feed = FeedId::new([byte; 32]);
        let owner = Address::new([3; 20]);
        let name = "gate".parse().unwrap();
        let record = FeedRecord::opened(owner.into(), name, owner, 7);
        snapshot.feeds.insert(feed, record);
        let key = SubscriptionKey {
            feed,
            beneficiary: Address::new([4; 20]),
            payer: Address::new([5; 20]),
        };
        let record = SubscriptionRecord::after(None, 1, Default::default(), 1, 2);
        snapshot.subscriptions.insert(key, record);
    }
    snapshot
}

#[tokio::test]
async fn the_chain_index_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let secret = {
        let store = Store::open(&path).unwrap();
        assert!(store.load_chain().unwrap().is_none());
        for number in 1..=3 {
            let commit = ChainCommit {
                cursor: cursor(number),
                changed: delta(&[number as u8], Presence::There),
                forgotten: vec![],
                added: vec![block(number)],
            };
            store.commit_chain(&commit).unwrap();
        }
        store.flush().await.unwrap();
        store.secret().unwrap()
    };
    let store = Store::reopen(&path);
    assert_eq!(store.secret().unwrap(), secret);
    let kept = KeptChain {
        cursor: cursor(3),
        snapshot: snapshot(&[1, 2, 3]),
        journal: vec![block(1), block(2), block(3)],
    };
    assert_eq!(store.load_chain().unwrap().unwrap(), kept);
    // Back to block 2 and up another branch; block 1 is too old now.
    let branch = ChainCommit {
        cursor: cursor(3),
        changed: delta(&[3], Presence::Gone),
        forgotten: vec![3, 1],
        added: vec![block(3)],
    };
    store.commit_chain(&branch).unwrap();
    let kept = KeptChain {
        cursor: cursor(3),
        snapshot: snapshot(&[1, 2]),
        journal: vec![block(2), block(3)],
    };
    assert_eq!(store.load_chain().unwrap().unwrap(), kept);
    let whole = snapshot(&[2, 4]);
    store.replace_chain(cursor(9), &whole, &[block(9)]).unwrap();
    let kept = KeptChain {
        cursor: cursor(9),
        snapshot: whole,
        journal: vec![block(9)],
    };
    assert_eq!(store.load_chain().unwrap().unwrap(), kept);
}

#[test]
fn a_second_process_is_told_that_the_store_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let _first = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains("store"), "{error}");
}

#[test]
fn a_store_that_cannot_be_made_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "not a folder").unwrap();
    assert!(Store::open(&path.join("store")).is_err());
}

#[test]
fn a_damaged_store_is_set_aside_and_another_begins_with_its_export() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    {
        let store = Store::open(&path).unwrap();
        store.blocked.put(&[1; 20], &7_u64).unwrap();
        back_up(&store, &folder.path().join(EXPORT_FOLDER)).unwrap();
        for number in 0..2_000_u64 {
            store
                .positions
                .put(&number.to_be_bytes(), &"x".repeat(200))
                .unwrap();
        }
        store.flush_blocking().unwrap();
    }
    std::fs::write(path.join("conf"), "damaged beyond reading").unwrap();
    let store = Store::reopen(&path);
    assert!(store.positions.load::<String>().unwrap().is_empty());
    assert_eq!(store.blocked.load::<u64>().unwrap().len(), 1);
    let names = std::fs::read_dir(folder.path()).unwrap();
    let aside = names
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().contains("damaged-"));
    assert!(aside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_flushes_at_once_do_not_stop_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let flushes = (0..200_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let record = "x".repeat(2_000);
            store.nonces.put(&number.to_be_bytes(), &record).unwrap();
            store.flush().await.unwrap();
        })
    });
    let all = futures_util::future::join_all(flushes.collect::<Vec<_>>());
    let all = tokio::time::timeout(std::time::Duration::from_secs(30), all);
    for flushed in all.await.expect("the store stands still") {
        flushed.unwrap();
    }
    assert_eq!(store.nonces.load::<String>().unwrap().len(), 200);
}
