//! Why a watch has ended.

use ashya_protocol::ws::EndReason;

use super::{ALICE, BASE, BOB, CAMERA, FEED, clock, index, opened, set, subscribed};
use crate::access::Access;

#[test]
fn a_watch_ends_for_its_reason() {
    for (name, events, feed_time, reason) in [
        (
            "used up",
            vec![subscribed(ALICE, 10, 100)],
            100,
            EndReason::Expired,
        ),
        (
            "cancelled",
            vec![subscribed(ALICE, 10, 100), subscribed(ALICE, 10, 40)],
            40,
            EndReason::Cancelled,
        ),
        (
            "extended, then used up",
            vec![subscribed(ALICE, 10, 100), subscribed(ALICE, 10, 200)],
            200,
            EndReason::Expired,
        ),
        (
            "cancelled, bought anew, used up",
            vec![
                subscribed(ALICE, 10, 100),
                subscribed(ALICE, 10, 40),
                subscribed(ALICE, 50, 80),
            ],
            80,
            EndReason::Expired,
        ),
        (
            "one of two cancelled, the other used up later",
            vec![
                subscribed(ALICE, 10, 100),
                subscribed(BOB, 10, 90),
                subscribed(ALICE, 10, 40),
            ],
            90,
            EndReason::Expired,
        ),
        (
            "retired",
            vec![subscribed(ALICE, 10, 9_000), clock(None, 0, Some(3_600))],
            3_600,
            EndReason::Retired,
        ),
        (
            "used up before the retirement",
            vec![subscribed(ALICE, 10, 90), clock(None, 0, Some(3_600))],
            90,
            EndReason::Expired,
        ),
        (
            "cancelled after the retirement",
            vec![
                subscribed(ALICE, 10, 9_000),
                clock(None, 0, Some(3_600)),
                subscribed(ALICE, 10, 3_600),
            ],
            3_600,
            EndReason::Cancelled,
        ),
        ("never paid", vec![], 100, EndReason::Cancelled),
    ] {
        let index = index();
        index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
        index.apply(&events);
        let now = BASE + feed_time;
        assert_eq!(index.access(FEED, ALICE, now), Access::Denied, "{name}");
        assert_eq!(index.end_reason(FEED, ALICE, now, None), reason, "{name}");
    }
    assert_eq!(
        index().end_reason(FEED, ALICE, BASE, None),
        EndReason::Reorg
    );
}

#[test]
fn a_purchase_that_a_reorg_has_undone_was_not_cancelled() {
    let bought = || {
        let index = index();
        index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
        index
    };
    let (used_up, anew) = (subscribed(ALICE, 10, 20), subscribed(ALICE, 50, 80));
    for (name, before, after, reason) in [
        ("undone", vec![used_up.clone()], vec![], EndReason::Reorg),
        (
            "the second one undone",
            vec![used_up.clone(), anew.clone()],
            vec![used_up.clone()],
            EndReason::Reorg,
        ),
        (
            "used up",
            vec![used_up.clone()],
            vec![used_up.clone()],
            EndReason::Expired,
        ),
        (
            "cancelled at once",
            vec![used_up.clone(), anew.clone()],
            vec![used_up, anew, subscribed(ALICE, 50, 50)],
            EndReason::Cancelled,
        ),
    ] {
        let (old, new) = (bought(), bought());
        old.apply(&before);
        new.apply(&after);
        let paid = old.paid(FEED, ALICE).unwrap();
        let now = BASE + 90;
        assert_eq!(
            new.end_reason(FEED, ALICE, now, Some(&paid)),
            reason,
            "{name}"
        );
    }
}
