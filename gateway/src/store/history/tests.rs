use std::time::Duration;

use ashya_protocol::{DeviceId, FeedId, Position};

use super::*;
use crate::stream::Gap;

const AGE: Duration = Duration::from_secs(24 * 3600);
const NOON: u64 = 1_800_000_000;

fn at(boot: u64, seq: u64) -> Position {
    Position {
        boot: boot.try_into().unwrap(),
        seq: seq.try_into().unwrap(),
    }
}

fn key(device: u8, stream: &str) -> StreamKey {
    StreamKey {
        device: DeviceId::new([device; 20]),
        stream: stream.parse().unwrap(),
    }
}

fn event(key: &StreamKey, position: Position, at: u64) -> NewEvent {
    NewEvent {
        key: key.clone(),
        position,
        at,
        lost: None,
        feeds: vec![FeedId::new([7; 32]), FeedId::new([8; 32])],
        envelope: vec![9; 100].into(),
    }
}

fn keep(store: &Store, events: &[NewEvent]) {
    store.keep_accepted([], events).unwrap();
}

fn kept(store: &Store, key: &StreamKey, after: Position) -> Vec<Position> {
    let events = store.history.after(key, after);
    events.map(|event| event.unwrap().0).collect()
}

/// What the trees hold for real.
fn weighed(store: &Store) -> u64 {
    let events = store.history.events.iter();
    events
        .map(|item| {
            item.map(|(key, value)| record::weight(&key, &value))
                .unwrap()
        })
        .sum()
}

fn prune_all(store: &Store, cutoff: u64, max_bytes: u64) -> Vec<(Prune, u64)> {
    let pruned = std::iter::from_fn(|| store.history.prune(cutoff, max_bytes).unwrap());
    pruned.collect()
}

#[test]
fn what_came_after_a_position_is_one_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let [mine, other] = [key(1, "detections"), key(2, "detections")];
    // One name begins with the other.
    let longer = key(1, "detections-2");
    {
        let store = Store::open(&path).unwrap();
        let mut events = Vec::new();
        for position in [at(3, 0), at(3, 255), at(3, 256), at(256, 1)] {
            events.extend([&mine, &other, &longer].map(|key| event(key, position, NOON)));
        }
        events[3].lost = Some(Gap {
            from: 1.try_into().unwrap(),
            to: 254.try_into().unwrap(),
        });
        keep(&store, &events);
        store.flush_blocking().unwrap();
    }
    let store = Store::reopen(&path);
    assert_eq!(store.history.bytes(), weighed(&store));
    for (after, expected) in [
        (
            at(1, 0),
            &[at(3, 0), at(3, 255), at(3, 256), at(256, 1)][..],
        ),
        (at(3, 0), &[at(3, 255), at(3, 256), at(256, 1)]),
        (at(3, 255), &[at(3, 256), at(256, 1)]),
        (at(4, 0), &[at(256, 1)]),
        (at(256, 1), &[]),
        (at(257, 0), &[]),
    ] {
        for key in [&mine, &other, &longer] {
            assert_eq!(
                kept(&store, key, after),
                expected,
                "{key:?} after {after:?}"
            );
        }
    }
    let (_, record) = store
        .history
        .after(&mine, at(3, 0))
        .next()
        .unwrap()
        .unwrap();
    let parts = record.parts().unwrap();
    assert_eq!(
        (parts.at, parts.lost, parts.envelope),
        (NOON, 254, &[9; 100][..])
    );
    let feeds: Vec<_> = parts.feeds().collect();
    assert_eq!(feeds, [FeedId::new([7; 32]), FeedId::new([8; 32])]);
    assert!(
        Record::new([1_u8, 2, 3].as_slice().into())
            .parts()
            .is_none()
    );
}

#[test]
fn the_oldest_go_first_in_small_steps() {
    let store = Store::temporary();
    let (first, second) = (key(1, "detections"), key(2, "detections"));
    for hour in 0..30 {
        let time = NOON + hour * 3600;
        let events: Vec<_> = (0..300)
            .map(|number| event(&first, at(3, hour * 300 + number), time))
            .chain([event(&second, at(5, hour), time)])
            .collect();
        keep(&store, &events);
    }
    assert_eq!(store.history.bytes(), weighed(&store));
    let now = NOON + 29 * 3600;
    let pruned = prune_all(&store, Prune::cutoff(now, AGE), u64::MAX);
    assert!(
        pruned
            .iter()
            .all(|(why, events)| { *why == Prune::Age && *events <= PRUNE_BATCH as u64 })
    );
    // Hours 0 to 4: what is exactly a day old stays.
    let count: u64 = pruned.iter().map(|(_, events)| events).sum();
    assert_eq!(count, 5 * 301);
    assert_eq!(kept(&store, &first, at(1, 0))[0], at(3, 1_500));
    assert_eq!(kept(&store, &second, at(1, 0))[0], at(5, 5));
    assert_eq!(store.history.bytes(), weighed(&store));
    let boot = 1.try_into().unwrap();
    let marks = store.history.pruned(&first, boot).unwrap();
    assert_eq!(marks, [(3.try_into().unwrap(), 1_499.try_into().unwrap())]);
}

#[test]
fn whoever_takes_the_most_loses_its_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (modest, flood) = (key(1, "detections"), key(2, "detections"));
    {
        let store = Store::open(&path).unwrap();
        for hour in 0..30 {
            let time = NOON + hour * 3600;
            let events: Vec<_> = (0..300)
                .map(|number| event(&flood, at(3, hour * 300 + number), time))
                .chain((0..20).map(|number| event(&modest, at(5, hour * 20 + number), time)))
                .collect();
            keep(&store, &events);
        }
        store.flush_blocking().unwrap();
    }
    let store = Store::reopen(&path);
    let all = store.history.bytes();
    // 9,600 events: first the flood shrinks, then both.
    for (part, modest_left) in [(2, 600), (8, 590), (20, 230)] {
        let max = all / part;
        let pruned = prune_all(&store, 0, max);
        assert!(pruned.iter().all(|(why, _)| *why == Prune::Size));
        let left = store.history.bytes();
        assert_eq!(left, weighed(&store));
        assert!(left <= max && left + 2_000 > max, "{left} of {max}");
        let kept_of = |key| kept(&store, key, at(1, 0));
        let (modest, flood) = (kept_of(&modest), kept_of(&flood));
        assert!(modest.len() >= modest_left, "{} at 1/{part}", modest.len());
        assert_eq!(flood.last(), Some(&at(3, 8_999)));
        assert_eq!(modest.last(), Some(&at(5, 599)));
    }
}

#[test]
fn nothing_is_kept_where_nothing_may_be() {
    let store = Store::temporary();
    let key = key(1, "detections");
    let events: Vec<_> = (0..1_000)
        .map(|seq| event(&key, at(3, seq), NOON))
        .collect();
    keep(&store, &events);
    prune_all(&store, 0, 0);
    assert_eq!((store.history.bytes(), weighed(&store)), (0, 0));
    assert!(store.history.slices.is_empty());
    // What comes after it is counted anew.
    keep(&store, &[event(&key, at(3, 1_000), NOON)]);
    assert_eq!(store.history.bytes(), weighed(&store));
}

#[test]
fn the_last_starts_of_a_device_are_remembered() {
    let store = Store::temporary();
    let key = key(1, "detections");
    for boot in 1..=40 {
        keep(&store, &[event(&key, at(boot, boot), NOON + boot * 3600)]);
        prune_all(&store, u64::MAX, 0);
    }
    let marks = store.history.pruned(&key, 1.try_into().unwrap()).unwrap();
    let boots: Vec<_> = marks.iter().map(|(boot, _)| boot.get()).collect();
    assert_eq!(boots, (25..=40).collect::<Vec<_>>());
    let from = store.history.pruned(&key, 39.try_into().unwrap()).unwrap();
    assert_eq!(from.len(), 2);
}

#[test]
fn a_clock_that_steps_back_loses_no_count() {
    let store = Store::temporary();
    let key = key(1, "detections");
    keep(&store, &[event(&key, at(3, 0), NOON + 7200)]);
    keep(&store, &[event(&key, at(3, 1), NOON)]);
    prune_all(&store, NOON + 3600, u64::MAX);
    prune_all(&store, NOON + 36_000, u64::MAX);
    assert_eq!((store.history.bytes(), weighed(&store)), (0, 0));
}

#[test]
fn positions_and_events_are_kept_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let key = key(1, "detections");
    {
        let store = Store::open(&path).unwrap();
        let position = at(3, 4);
        let record = (b"somebody".to_vec(), Some(position));
        store
            .keep_accepted([record], &[event(&key, position, NOON)])
            .unwrap();
        store.flush_blocking().unwrap();
    }
    let store = Store::reopen(&path);
    let positions = store.positions.load::<Position>().unwrap();
    assert_eq!(positions, [(b"somebody".to_vec(), at(3, 4))]);
    assert_eq!(kept(&store, &key, at(1, 0)), [at(3, 4)]);
}

#[test]
fn where_a_second_begins_is_known_to_some_minutes() {
    let store = Store::temporary();
    let key = key(1, "detections");
    for minute in 0..60 {
        keep(&store, &[event(&key, at(3, minute), NOON + minute * 60)]);
    }
    let reached = |second| store.history.reached_before(&key, second).unwrap();
    assert_eq!(reached(0), None);
    assert_eq!(reached(NOON + 10 * 60), None);
    for minute in [20_u64, 29, 30, 59, 200] {
        let position = reached(NOON + minute * 60).unwrap();
        let behind = minute.min(59) - position.seq.get();
        assert!(
            (1..=21).contains(&behind) || minute == 200,
            "{minute}: {position:?}"
        );
    }
    assert_eq!(reached(NOON + 40 * 60), Some(at(3, 29)));
}

#[test]
fn a_slice_without_events_does_not_send_others_away() {
    let store = Store::temporary();
    let (large, small) = (key(1, "detections"), key(2, "detections"));
    keep(&store, &[event(&small, at(3, 0), NOON)]);
    // The clock steps back: the later slice holds the earlier event too, and goes with it.
    keep(&store, &[event(&large, at(3, 0), NOON + 7_200)]);
    for seq in [1, 2] {
        keep(&store, &[event(&large, at(3, seq), NOON + 600)]);
    }
    keep(&store, &[event(&large, at(3, 3), NOON + 7_200)]);
    let size = store.history.bytes() / 5;
    let pruned = prune_all(&store, 0, size);
    assert!(!pruned.is_empty());
    assert_eq!(kept(&store, &small, at(1, 0)), [at(3, 0)]);
    assert!(kept(&store, &large, at(1, 0)).is_empty());
}
