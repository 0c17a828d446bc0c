//! Who is told of a change.

use ashya_protocol::{Address, FeedId};
use tokio::sync::watch;

use super::{ALICE, BASE, BOB, CAMERA, FEED, clock, index, opened, set, subscribed};

#[test]
fn the_version_changes_with_all_that_concerns_anybody() {
    let index = index();
    let mut version = index.version();
    for (name, event, changes) in [
        ("opened", opened(FEED), true),
        ("terms", set(CAMERA, 5, 1), true),
        ("the same terms", set(CAMERA, 5, 1), false),
        ("payment", subscribed(ALICE, 10, 100), true),
        ("the same payment", subscribed(ALICE, 10, 100), false),
        ("clock", clock(Some(BASE + 50), 0, None), true),
    ] {
        index.apply([&event]);
        assert_eq!(index.version() != version, changes, "{name}");
        version = index.version();
    }
}

#[test]
fn changes_are_told_to_whom_they_concern() {
    let index = index();
    let other = FeedId::new([7; 32]);
    let mut unknown = index.changes_for(FEED, ALICE);
    index.apply(&[opened(FEED), opened(other)]);
    assert!(unknown.has_changed().unwrap(), "a feed was opened");
    unknown.mark_unchanged();
    let mut here = [
        index.changes(FEED),
        index.changes_for(FEED, ALICE),
        index.changes_for(FEED, BOB),
    ];
    let there = [index.changes(other), index.changes_for(other, ALICE)];
    for (name, event, told) in [
        ("terms", set(CAMERA, 5, 1), [true, true, true]),
        ("payment", subscribed(ALICE, 10, 100), [false, true, false]),
        ("gift", subscribed(BOB, 10, 100), [false, true, false]),
        ("no change", subscribed(BOB, 10, 100), [false, false, false]),
        ("clock", clock(Some(BASE + 50), 0, None), [true, true, true]),
    ] {
        here.iter_mut().for_each(watch::Receiver::mark_unchanged);
        index.apply([&event]);
        let found = here
            .each_ref()
            .map(|changes| changes.has_changed().unwrap());
        assert_eq!(found, told, "{name}");
    }
    for untouched in there.iter().chain([&unknown]) {
        assert!(!untouched.has_changed().unwrap());
    }
}

#[test]
fn those_who_look_no_longer_are_forgotten() {
    let index = index();
    index.apply(&[opened(FEED)]);
    let kept = index.changes_for(FEED, ALICE);
    for byte in 0..=255 {
        for other in 0..10 {
            let mut wallet = [byte; 20];
            wallet[0] = other;
            drop(index.changes_for(FEED, Address::new(wallet)));
        }
    }
    index.apply(&[subscribed(ALICE, 10, 100)]);
    assert!(kept.has_changed().unwrap());
}
