//! Who may watch, and what was paid.

use ashya_protocol::FeedId;

use super::{ALICE, BASE, BOB, CAMERA, FEED, OWNER, clock, index, opened, set, subscribed};
use crate::access::Access;

#[test]
fn the_latest_end_of_several_payers_counts() {
    let index = index();
    index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
    let access = |wallet, feed_time| index.access(FEED, wallet, BASE + feed_time);
    let until = |feed_time| Access::Granted {
        until: Some(BASE + feed_time),
    };
    assert_eq!(access(ALICE, 10), Access::Denied);
    assert_eq!(access(OWNER, 10), Access::Owner);
    index.apply(&[subscribed(ALICE, 10, 100), subscribed(BOB, 20, 50)]);
    assert_eq!(access(ALICE, 30), until(100));
    assert_eq!(
        access(BOB, 30),
        Access::Denied,
        "a payer does not watch a gift"
    );
    index.apply(&[subscribed(BOB, 20, 200)]);
    assert_eq!(access(ALICE, 30), until(200));
    assert_eq!(access(ALICE, 199), until(200));
    assert_eq!(access(ALICE, 200), Access::Denied);
    assert_eq!(
        index.access(FeedId::new([0; 32]), OWNER, BASE),
        Access::Denied
    );
}

#[test]
fn what_was_paid_is_known_to_the_second() {
    let index = index();
    index.apply(&[
        opened(FEED),
        subscribed(ALICE, 10, 60),
        subscribed(BOB, 100, 120),
        subscribed(ALICE, 80, 90),
        clock(Some(BASE + 30), 0, None),
        clock(None, 5, None),
    ]);
    let paid = index.paid(FEED, ALICE).unwrap();
    let mut windows = paid.windows().to_vec();
    windows.sort_unstable();
    assert_eq!(windows, [(10, 60), (80, 90), (100, 120)]);
    for (second, expected) in [
        (9, None),
        (10, Some(10)),
        (29, Some(29)),
        // The clock stands still.
        (30, None),
        (34, None),
        (35, Some(30)),
        (64, Some(59)),
        (65, None),
        (84, None),
        (85, Some(80)),
        (95, None),
        (105, Some(100)),
        (125, None),
    ] {
        let found = paid.paid_time_at(BASE + second);
        assert_eq!(found, expected, "second {second}");
    }
    let nothing = index.paid(FEED, BOB).unwrap();
    assert_eq!(
        (nothing.windows(), nothing.paid_time_at(BASE + 20)),
        (&[][..], None)
    );
    assert_eq!(index.paid(FeedId::new([0; 32]), ALICE), None);
}

#[test]
fn a_feed_is_live_while_anybodys_paid_time_of_it_runs() {
    let index = index();
    let [other, unknown] = [6, 7].map(|byte| FeedId::new([byte; 32]));
    index.apply(&[
        opened(other),
        opened(FEED),
        subscribed(ALICE, 10, 100),
        subscribed(BOB, 20, 500),
    ]);
    for (feed, feed_time, live) in [
        (FEED, 50, true),
        (FEED, 499, true),
        (FEED, 500, false),
        (other, 50, false),
        (unknown, 50, false),
    ] {
        let found = index.has_live_subscription(feed, BASE + feed_time);
        assert_eq!(found, live, "{feed} at {feed_time}");
    }
    let live = |feed_time| index.has_live_subscription(FEED, BASE + feed_time);
    // Bob cancels, and Alice's time runs on.
    index.apply(&[subscribed(BOB, 20, 60)]);
    assert_eq!([60, 99, 100, 499].map(live), [true, true, false, false]);
    let extended = index.step([], [(9, &[subscribed(ALICE, 10, 900)][..])]);
    assert_eq!([100, 899, 900].map(live), [true, true, false]);
    index.step(&extended.undos, []);
    assert_eq!([99, 100].map(live), [true, false]);
}
