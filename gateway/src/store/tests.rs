use ashya_protocol::{Address, FeedId, Hash};

use super::*;
use crate::ledger_index::{Changed, FeedRecord, SubscriptionKey, SubscriptionRecord};

fn cursor(number: u64) -> Cursor {
    Cursor {
        number,
        hash: Hash::new([1; 32]),
        deployment_hash: Hash::new([2; 32]),
    }
}

fn changed(feeds: &[u8]) -> Changed {
    let mut changed = Changed::default();
    for &byte in feeds {
        let feed = FeedId::new([byte; 32]);
        let owner = Address::new([3; 20]);
        let name = "gate".parse().unwrap();
        let record = FeedRecord::opened(owner.into(), name, owner, 7);
        changed.feeds.insert(feed, record);
        let key = SubscriptionKey {
            feed,
            beneficiary: Address::new([4; 20]),
            payer: Address::new([5; 20]),
        };
        let record = SubscriptionRecord::after(None, Default::default(), 1, 2);
        changed.subscriptions.insert(key, record);
    }
    changed
}

#[tokio::test]
async fn the_chain_index_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let secret = {
        let store = Store::open(&path).unwrap();
        assert!(store.load_chain().unwrap().is_none());
        for (number, feeds) in [(1, &[1, 2][..]), (2, &[3])] {
            let commit = ChainCommit {
                cursor: cursor(number),
                changed: &changed(feeds),
                extent: Extent::Changes,
            };
            store.commit_chain(&commit).unwrap();
        }
        store.flush().await.unwrap();
        store.secret().unwrap()
    };
    let store = Store::open(&path).unwrap();
    assert_eq!(store.secret().unwrap(), secret);
    assert_eq!(
        store.load_chain().unwrap().unwrap(),
        (cursor(2), changed(&[1, 2, 3]))
    );
    let replacement = ChainCommit {
        cursor: cursor(9),
        changed: &changed(&[2, 4]),
        extent: Extent::Whole,
    };
    store.commit_chain(&replacement).unwrap();
    assert_eq!(
        store.load_chain().unwrap().unwrap(),
        (cursor(9), changed(&[2, 4]))
    );
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

#[tokio::test]
async fn a_damaged_store_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    {
        let store = Store::open(&path).unwrap();
        for number in 0..2_000_u64 {
            store
                .positions
                .put(&number.to_be_bytes(), &"x".repeat(200))
                .unwrap();
        }
        store.flush().await.unwrap();
    }
    std::fs::write(path.join("conf"), "damaged beyond reading").unwrap();
    let store = Store::open(&path).unwrap();
    assert!(store.positions.load::<String>().unwrap().is_empty());
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
