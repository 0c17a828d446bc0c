use super::*;

const SILENCE: Freshness = Freshness {
    max_silence: Duration::from_secs(30),
    max_head_age: None,
};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn head(timestamp: u64) -> Head {
    Head {
        number: 7,
        timestamp,
    }
}

#[tokio::test]
async fn the_time_is_the_later_of_wall_and_chain() {
    let seen = Instant::now();
    let now = seen + seconds(2.5);
    for (source, anchor, wall, expected) in [
        (ClockSource::Wall, None, 1_000.0, 1_000.0),
        (ClockSource::Head, None, 1_000.0, 1_000.0),
        (ClockSource::Wall, Some(900.0), 1_000.0, 1_000.0),
        (ClockSource::Wall, Some(997.5), 1_000.0, 1_000.0),
        (ClockSource::Wall, Some(1_030.0), 1_000.0, 1_032.5),
        (ClockSource::Head, Some(900.0), 1_000.0, 902.5),
        (ClockSource::Head, Some(9_000.0), 1_000.0, 9_002.5),
    ] {
        let anchor = anchor.map(|time| (seconds(time), seen));
        let shown = reading(source, anchor, seconds(wall), now);
        assert_eq!(shown, seconds(expected), "{source:?} {anchor:?}");
    }
}

#[tokio::test]
async fn a_head_far_ahead_is_not_believed_unless_the_chain_rules() {
    let wall = wall_clock();
    for (ahead, source, believed) in [
        (0, ClockSource::Wall, true),
        (60, ClockSource::Wall, true),
        (62, ClockSource::Wall, false),
        (1_000_000, ClockSource::Wall, false),
        (1_000_000, ClockSource::Head, true),
    ] {
        let clock = ChainClock::new(source, SILENCE);
        let head = head(wall.as_secs() + ahead);
        assert_eq!(clock.check(head).is_ok(), believed, "{ahead} {source:?}");
        assert_eq!(clock.saw(head, Instant::now()).is_ok(), believed);
        assert_eq!(clock.is_current(), believed);
        assert_eq!(clock.head().is_some(), believed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_runs_between_heads_and_tells_of_jumps() {
    let clock = ChainClock::new(ClockSource::Head, SILENCE);
    let moved = clock.moved();
    clock.saw(head(5_000), Instant::now()).unwrap();
    let mut jumps = *moved.borrow();
    tokio::time::advance(seconds(10.4)).await;
    assert_eq!(clock.now(), seconds(5_010.4));
    assert_eq!(clock.instant_of(5_020), Instant::now() + seconds(9.6));
    assert_eq!(clock.instant_of(4_000), Instant::now());
    // A block of whole seconds, seen late, is no step back.
    clock.saw(head(5_010), Instant::now()).unwrap();
    assert_eq!(clock.now(), seconds(5_010.4));
    assert_eq!(*moved.borrow(), jumps);
    for timestamp in [9_000, 5_100] {
        clock.saw(head(timestamp), Instant::now()).unwrap();
        assert_eq!(clock.now_seconds(), timestamp);
        jumps += 1;
        assert_eq!(*moved.borrow(), jumps, "moved to {timestamp}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_makes_the_view_stale() {
    let clock = ChainClock::new(ClockSource::Head, SILENCE);
    assert!(!clock.is_current(), "nothing was seen yet");
    clock.saw(head(5_000), Instant::now()).unwrap();
    tokio::time::advance(seconds(30.0)).await;
    assert!(clock.is_current());
    tokio::time::advance(seconds(0.1)).await;
    assert!(!clock.is_current());
    clock.saw(head(5_000), Instant::now()).unwrap();
    assert!(clock.is_current());
}

#[tokio::test]
async fn an_old_head_makes_the_view_stale_where_blocks_keep_coming() {
    let strict = Freshness {
        max_head_age: Some(seconds(300.0)),
        ..SILENCE
    };
    let now = wall_clock().as_secs();
    for (age, current) in [(0, true), (290, true), (310, false)] {
        let clock = ChainClock::new(ClockSource::Wall, strict);
        clock.saw(head(now - age), Instant::now()).unwrap();
        assert_eq!(clock.is_current(), current, "{age}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_when_the_wall_clock_says() {
    let wall = wall_clock().as_secs();
    for (unix, left) in [
        (wall + 100, 99.0..=100.0),
        (wall - 100, 0.0..=0.0),
        (0, 0.0..=0.0),
    ] {
        let ahead = wall_instant_of(unix) - Instant::now();
        assert!(left.contains(&ahead.as_secs_f64()), "{unix}: {ahead:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_step_beyond_the_clocks_own_error_is_told() {
    for (step_ms, told) in [(0, 0), (20, 0), (21, 1)] {
        let clock = ChainClock::new(ClockSource::Head, SILENCE);
        clock.saw(head(5_000), Instant::now()).unwrap();
        let moved = clock.moved();
        let before = *moved.borrow();
        tokio::time::advance(seconds(10.0) - Duration::from_millis(step_ms)).await;
        clock.saw(head(5_010), Instant::now()).unwrap();
        assert_eq!(*moved.borrow() - before, told, "{step_ms} ms");
    }
}

#[tokio::test]
async fn nothing_is_written_that_could_end_after_the_access() {
    for (before_ms, in_time) in [(1_000, true), (11, true), (10, false), (0, false)] {
        let reading = Reading {
            time: seconds(5_000.0) - Duration::from_millis(before_ms),
            at: Instant::now(),
        };
        assert_eq!(reading.is_before(5_000), in_time, "{before_ms} ms before");
    }
}

#[test]
fn a_head_may_be_ahead_by_the_tolerance_and_not_more() {
    let timestamp = 1_000_000;
    for (ahead, believed) in [
        (HEAD_TOLERANCE, true),
        (HEAD_TOLERANCE + Duration::from_nanos(1), false),
    ] {
        let wall = Duration::from_secs(timestamp) - ahead;
        let checked = check_head(ClockSource::Wall, head(timestamp), wall);
        assert_eq!(checked.is_ok(), believed, "{ahead:?}");
    }
}
