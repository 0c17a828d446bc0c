//! Events that are read again, and an index that is replaced.

use super::{ALICE, CAMERA, FEED, history, index};
use crate::ledger_index::Snapshot;

#[test]
fn applying_events_again_changes_nothing() {
    let once = index();
    once.apply(&history());
    let expected = once.snapshot();
    let twice = index();
    twice.apply(&history());
    twice.apply(&history());
    assert_eq!(twice.snapshot(), expected);
    // A batch that was applied but not noted is read again from its beginning.
    for cut in 0..history().len() {
        let again = index();
        again.apply(&history()[..cut]);
        for event in &history()[cut / 2..] {
            again.apply([event]);
            again.apply([event]);
        }
        assert_eq!(again.snapshot(), expected, "cut at {cut}");
    }
    let restored = index();
    restored.replace(&expected);
    assert_eq!(restored.snapshot(), expected);
    assert_eq!(
        restored.subscriptions_of(ALICE),
        once.subscriptions_of(ALICE)
    );
}

#[test]
fn a_rebuild_forgets_what_is_no_longer_there() {
    let index = index();
    index.apply(&history());
    let changes = index.changes(FEED);
    index.replace(&Snapshot::default());
    assert!(index.feed(FEED).is_none());
    assert!(index.subscriptions_of(ALICE).is_empty());
    assert!(index.feeds_of_device(CAMERA).is_empty());
    assert!(changes.has_changed().unwrap(), "its watchers are told");
}
