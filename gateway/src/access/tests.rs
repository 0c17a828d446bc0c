use super::*;

/// Feed time 100 is the Unix second 1100.
const OPEN: FeedClock = FeedClock {
    base: 1_000,
    paused_at: None,
    paused_total: 0,
    paused_by: None,
    retires_at: None,
};

fn granted(until: u64) -> Access {
    Access::Granted { until: Some(until) }
}

#[test]
fn access_is_half_open_and_follows_the_feed_clock() {
    let held = Access::Granted { until: None };
    let paused = FeedClock {
        paused_at: Some(1_150),
        ..OPEN
    };
    let resumed = FeedClock {
        paused_total: 500,
        ..OPEN
    };
    let retiring = FeedClock {
        retires_at: Some(180),
        ..OPEN
    };
    let paused_retiring = FeedClock {
        retires_at: Some(180),
        ..paused
    };
    let paid = [(100, 200)];
    let none: [(u64, u64); 0] = [];
    for (name, clock, subscriptions, now, expected) in [
        ("never paid", OPEN, &none[..], 1_150, Access::Denied),
        (
            "a second before the start",
            OPEN,
            &paid[..],
            1_099,
            Access::Awaited { from: 1_100 },
        ),
        ("the start", OPEN, &paid[..], 1_100, granted(1_200)),
        ("the last second", OPEN, &paid[..], 1_199, granted(1_200)),
        ("the expiry", OPEN, &paid[..], 1_200, Access::Denied),
        ("long after", OPEN, &paid[..], 9_999, Access::Denied),
        (
            "an empty subscription",
            OPEN,
            &[(100, 100)][..],
            1_100,
            Access::Denied,
        ),
        ("paused", paused, &paid[..], 1_150, held),
        (
            "paused, long past the expiry",
            paused,
            &paid[..],
            9_999,
            held,
        ),
        (
            "paused at the expiry",
            paused,
            &[(100, 150)][..],
            9_999,
            Access::Denied,
        ),
        ("resumed, start", resumed, &paid[..], 1_600, granted(1_700)),
        (
            "resumed, last second",
            resumed,
            &paid[..],
            1_699,
            granted(1_700),
        ),
        ("resumed, expiry", resumed, &paid[..], 1_700, Access::Denied),
        (
            "retiring ends it earlier",
            retiring,
            &paid[..],
            1_179,
            granted(1_180),
        ),
        ("retired", retiring, &paid[..], 1_180, Access::Denied),
        (
            "retired, long after",
            retiring,
            &paid[..],
            9_999,
            Access::Denied,
        ),
        (
            "ends before the retirement",
            retiring,
            &[(0, 170)][..],
            1_169,
            granted(1_170),
        ),
        (
            "paused before its retirement",
            paused_retiring,
            &paid[..],
            9_999,
            held,
        ),
        (
            "two payers, the latest counts",
            OPEN,
            &[(100, 160), (120, 300)][..],
            1_150,
            granted(1_300),
        ),
        (
            "two payers, either order",
            OPEN,
            &[(120, 300), (100, 160)][..],
            1_150,
            granted(1_300),
        ),
        (
            "two payers, one ended",
            OPEN,
            &[(0, 120), (100, 160)][..],
            1_150,
            granted(1_160),
        ),
        (
            "two payers, both ended",
            OPEN,
            &[(0, 120), (100, 140)][..],
            1_150,
            Access::Denied,
        ),
        (
            "two payers, neither begun",
            OPEN,
            &[(300, 400), (200, 260)][..],
            1_150,
            Access::Awaited { from: 1_200 },
        ),
        (
            "two payers, one not begun",
            OPEN,
            &[(100, 160), (200, 260)][..],
            1_150,
            granted(1_160),
        ),
        (
            "an empty one not begun",
            OPEN,
            &[(200, 200)][..],
            1_150,
            Access::Denied,
        ),
        (
            "paused before the start",
            paused,
            &[(160, 200)][..],
            9_999,
            Access::Denied,
        ),
        (
            "resumed before the start",
            resumed,
            &[(160, 200)][..],
            1_650,
            Access::Awaited { from: 1_660 },
        ),
        (
            "retires before the start",
            retiring,
            &[(190, 300)][..],
            1_150,
            Access::Denied,
        ),
        (
            "before the feed was opened",
            OPEN,
            &[(0, 60)][..],
            900,
            granted(1_060),
        ),
        ("the end of time", OPEN, &[(0, u64::MAX)][..], 1_150, held),
    ] {
        let decision = decide(&clock, false, subscriptions.iter().copied(), now);
        assert_eq!(decision, expected, "{name}");
        let owner = decide(&clock, true, subscriptions.iter().copied(), now);
        assert_eq!(owner, Access::Owner, "{name}, as the owner");
    }
}

#[test]
fn the_promised_end_is_the_first_second_without_access() {
    for pauses in [0, 7, 100_000] {
        for retires_at in [None, Some(150), Some(500)] {
            let clock = FeedClock {
                paused_total: pauses,
                retires_at,
                ..OPEN
            };
            let paid = [(100, 200)];
            let start = 1_100 + pauses;
            let Access::Granted { until: Some(until) } = decide(&clock, false, paid, start) else {
                panic!("not granted: {clock:?}")
            };
            assert!(
                decide(&clock, false, paid, until - 1).is_allowed(),
                "{clock:?}"
            );
            assert_eq!(
                decide(&clock, false, paid, until),
                Access::Denied,
                "{clock:?}"
            );
        }
    }
}

#[test]
fn every_answer_says_whether_and_until_when() {
    for (access, allowed, until) in [
        (Access::Owner, true, None),
        (granted(1_200), true, Some(1_200)),
        (Access::Granted { until: None }, true, None),
        (Access::Denied, false, None),
    ] {
        assert_eq!(access.is_allowed(), allowed, "{access:?}");
        assert_eq!(access.until(), until, "{access:?}");
    }
}
