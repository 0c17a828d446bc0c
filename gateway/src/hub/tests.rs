use std::time::Duration;

use ashya_protocol::{Address, DeviceKey, Domain, Event, FeedId};

use super::queue::{MAX_PICTURES, MAX_SMALL};
use super::*;
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::defaults::RING_EVENTS;
use crate::ledger_index::LedgerIndex;
use crate::stream::Gap;

pub(crate) const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};

pub(crate) fn device_key() -> DeviceKey {
    DeviceKey::from_bytes([1; 32]).unwrap()
}

pub(crate) fn position(boot: u64, seq: u64) -> Position {
    Position {
        boot: boot.try_into().unwrap(),
        seq: seq.try_into().unwrap(),
    }
}

/// A verified event of the test device.
pub(crate) fn message(stream: &str, boot: u64, seq: u64, bytes: usize, moment: Moment) -> Message {
    let key = device_key();
    let event = Event {
        device: key.device_id(),
        stream: stream.parse().unwrap(),
        position: position(boot, seq),
        time_us: 0.try_into().unwrap(),
        content_type: "application/json".parse().unwrap(),
        payload: vec![b' '; bytes].into(),
    };
    let envelope = event.sign(&key, &DOMAIN);
    let bytes = envelope.encode().unwrap();
    Message::new(envelope.verify(&DOMAIN).unwrap(), &bytes, None, moment)
}

/// The same, after numbers that never reached the gateway.
fn message_after(lost: (u64, u64), stream: &str, boot: u64, seq: u64) -> Message {
    let [from, to] = [lost.0, lost.1].map(|seq| seq.try_into().unwrap());
    message(stream, boot, seq, 100, Moment::default()).after(Gap { from, to })
}

fn small(boot: u64, seq: u64) -> Message {
    message("detections", boot, seq, 10, Moment::default())
}

fn key(stream: &str) -> StreamKey {
    StreamKey {
        device: device_key().device_id(),
        stream: stream.parse().unwrap(),
    }
}

fn seqs(events: &[Arc<Message>]) -> Vec<u64> {
    events
        .iter()
        .map(|message| message.position().seq.get())
        .collect()
}

fn numbers(
    gone: &[(
        ashya_protocol::Boot,
        ashya_protocol::Seq,
        ashya_protocol::Seq,
    )],
) -> Vec<(u64, u64, u64)> {
    gone.iter()
        .map(|(boot, from, to)| (boot.get(), from.get(), to.get()))
        .collect()
}

impl Hub {
    pub(crate) fn publish_one(&self, message: Message) {
        let freshness = Freshness {
            max_silence: Duration::ZERO,
            max_head_age: None,
        };
        let clock = ChainClock::new(ClockSource::Wall, freshness);
        let now = || Now {
            clock: clock.read(),
            ledger: LedgerIndex::new(DOMAIN).version(),
        };
        self.publish(&[Arc::new(message)], now);
    }
}

/// What comes out of an outbox, in words.
pub(super) fn drain(outbox: &Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.pop().unwrap())
        .map(|queued| match queued {
            Queued::Event(message) => {
                format!("{} {}", message.key().stream, message.position().seq)
            }
            Queued::Gap(key, missed) => {
                format!(
                    "{} lost {}..{} of {}",
                    key.stream, missed.from, missed.to, missed.boot
                )
            }
        })
        .collect()
}

#[test]
fn a_ring_keeps_the_last_events_and_says_what_is_gone() {
    let now = Instant::now();
    let mut ring = Ring::default();
    for seq in 0..1_500 {
        ring.push(now, Arc::new(small(3, seq)));
    }
    let replay = ring.since(now, position(3, 1_497));
    assert_eq!(seqs(&replay.events), [1_498, 1_499]);
    assert!(replay.gone.is_empty());
    let replay = ring.since(now, position(3, 41));
    assert_eq!(numbers(&replay.gone), [(3, 42, 499)]);
    assert_eq!(replay.events.len(), 1_000);
    assert_eq!(replay.events[0].position(), position(3, 500));
    // Whoever knows only an earlier start has missed this one from its first event on.
    assert_eq!(
        numbers(&ring.since(now, position(2, 7)).gone),
        [(3, 0, 499)]
    );
    // Nothing is missing for whoever has the last event, or claims a later one.
    for last in [position(3, 1_499), position(4, 0)] {
        let replay = ring.since(now, last);
        assert!(
            replay.events.is_empty() && replay.gone.is_empty(),
            "{last:?}"
        );
    }
    let replay = ring.since(now + Duration::from_secs(601), position(3, 1_497));
    assert!(replay.events.is_empty());
    assert_eq!(numbers(&replay.gone), [(3, 1_498, 1_499)]);
}

#[test]
fn a_ring_of_pictures_keeps_a_handful_and_always_one() {
    let mut ring = Ring::default();
    for seq in 0..20 {
        let picture = message("frames", 3, seq, 60_000, Moment::default());
        ring.push(Instant::now(), Arc::new(picture));
    }
    let kept = ring.since(Instant::now(), position(2, 0)).events.len();
    assert!((4..=10).contains(&kept), "{kept}");
    let huge = message("frames", 3, 20, 1_500_000, Moment::default());
    ring.push(Instant::now(), Arc::new(huge));
    assert_eq!(
        seqs(&ring.since(Instant::now(), position(2, 0)).events),
        [20]
    );
}

#[test]
fn a_slow_socket_loses_the_oldest_pictures_and_no_detection() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let _frames = hub.follow(key("frames"), &outbox, None);
    let _detections = hub.follow(key("detections"), &outbox, None);
    for seq in 0..12 {
        hub.publish_one(message("frames", 3, seq, 100, Moment::default()));
        hub.publish_one(small(3, seq));
    }
    let got = drain(&outbox);
    let lost = 12 - MAX_PICTURES as u64;
    let told = format!("frames lost 0..{} of 3", lost - 1);
    assert_eq!(
        got.iter()
            .filter(|line| line.starts_with("detections"))
            .count(),
        12
    );
    let frames: Vec<_> = got
        .iter()
        .filter(|line| line.starts_with("frames"))
        .collect();
    assert_eq!(frames[0], &told);
    assert_eq!(frames[1], &format!("frames {lost}"));
    assert_eq!(frames.len(), 1 + MAX_PICTURES);
    assert!(
        hub.0
            .metrics
            .render()
            .contains(&format!("events_dropped_total{{reason=\"slow\"}} {lost}"))
    );
    // When room returns the stream goes on without another word.
    hub.publish_one(message("frames", 3, 12, 100, Moment::default()));
    assert_eq!(drain(&outbox), ["frames 12"]);
}

#[test]
fn losses_are_told_apart_by_start_and_by_hole() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let _frames = hub.follow(key("frames"), &outbox, None);
    let before = [(3, 0), (3, 1), (3, 5), (4, 0)];
    let after = (1..=MAX_PICTURES as u64).map(|seq| (4, seq));
    for (boot, seq) in before.into_iter().chain(after) {
        hub.publish_one(message("frames", boot, seq, 100, Moment::default()));
    }
    let got = drain(&outbox);
    assert_eq!(
        got[..4],
        [
            "frames lost 0..1 of 3",
            "frames lost 5..5 of 3",
            "frames lost 0..0 of 4",
            "frames 1"
        ]
    );
}

#[test]
fn numbers_lost_before_a_dropped_picture_are_told_with_it() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let _frames = hub.follow(key("frames"), &outbox, None);
    hub.publish_one(message("frames", 3, 0, 100, Moment::default()));
    hub.publish_one(message_after((1, 4), "frames", 3, 5));
    hub.publish_one(message_after((7, 8), "frames", 3, 9));
    for seq in 10..10 + MAX_PICTURES as u64 {
        hub.publish_one(message("frames", 3, seq, 100, Moment::default()));
    }
    let told = [
        "frames lost 0..5 of 3",
        "frames lost 7..9 of 3",
        "frames 10",
    ];
    assert_eq!(drain(&outbox)[..3], told);
}

#[test]
fn a_thousand_ordinary_detections_are_kept() {
    let now = Instant::now();
    let mut ring = Ring::default();
    for seq in 0..1_000 {
        let detections = message("detections", 3, seq, 2_000, Moment::default());
        ring.push(now, Arc::new(detections));
    }
    assert_eq!(ring.since(now, position(2, 0)).events.len(), 1_000);
}

#[test]
fn all_rings_together_keep_to_their_budget_and_the_largest_gives_first() {
    let weight = small(3, 0).weight();
    let hub = Hub::with_budget(Metrics::new(), Budget::of(16 * weight));
    let kept = |stream| {
        let (_, replay) = hub.follow(key(stream), &Outbox::default(), Some(position(2, 0)));
        seqs(&replay.events)
    };
    for seq in 0..5 {
        hub.publish_one(small(3, seq));
    }
    // The quiet stream keeps all it has, whoever comes later and however much.
    for seq in 0..100 {
        hub.publish_one(message("status", 3, seq, 10, Moment::default()));
        assert!(!hub.0.budget.is_exceeded());
    }
    assert_eq!(kept("detections"), [0, 1, 2, 3, 4]);
    let noisy = kept("status");
    assert!((9..=11).contains(&noisy.len()), "{noisy:?}");
    assert_eq!(noisy.last(), Some(&99));
    // What a ring held is free again when its stream is forgotten.
    hub.0.channels.write().open.clear();
    assert_eq!(hub.0.budget.used(), 0);
}

#[test]
fn silent_streams_are_forgotten_and_what_is_gone_is_still_told() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let now = Instant::now();
    let watched = hub.follow(key("frames"), &outbox, None);
    for seq in 0..3 {
        hub.publish_one(small(3, seq));
        hub.publish_one(message("frames", 3, seq, 100, Moment::default()));
    }
    hub.sweep(now + Duration::from_secs(599));
    assert_eq!(hub.0.channels.read().open.len(), 2);
    hub.sweep(now + Duration::from_secs(601));
    // Only the watched one is left, and nothing in it.
    assert_eq!(hub.0.channels.read().open.len(), 1);
    assert!(hub.channel(&key("frames")).lock().ring.is_empty());
    drop(watched);
    hub.sweep(now + Duration::from_secs(602));
    assert!(hub.0.channels.read().open.is_empty());
    let (_following, replay) = hub.follow(key("detections"), &outbox, Some(position(3, 0)));
    assert_eq!(numbers(&replay.gone), [(3, 1, 2)]);
}

#[test]
fn a_device_that_is_forgotten_leaves_nothing_but_to_those_who_watch() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let device = device_key().device_id();
    let earlier = (device, "status".parse().unwrap());
    hub.remember([(earlier, position(3, 60))]);
    let (_following, _) = hub.follow(key("frames"), &outbox, None);
    hub.publish_one(small(3, 0));
    hub.forget(DeviceId::new([9; 20]));
    let counts = || {
        let channels = hub.0.channels.read();
        (channels.open.len(), channels.past.len())
    };
    assert_eq!(counts(), (2, 1));
    hub.forget(device);
    assert_eq!(counts(), (1, 0));
    assert_eq!(hub.0.budget.used(), 0);
    hub.publish_one(message("frames", 3, 0, 100, Moment::default()));
    assert!(matches!(outbox.pop().unwrap(), Some(Queued::Event(_))));
}

#[test]
fn what_was_accepted_before_a_restart_is_gone() {
    let hub = Hub::new(Metrics::new());
    let last = (
        (device_key().device_id(), "detections".parse().unwrap()),
        position(3, 60),
    );
    hub.remember([last]);
    let since = |at| {
        let (following, replay) = hub.follow(key("detections"), &Outbox::default(), Some(at));
        drop(following);
        (numbers(&replay.gone), seqs(&replay.events))
    };
    assert_eq!(since(position(3, 41)), (vec![(3, 42, 60)], vec![]));
    assert_eq!(since(position(3, 60)), (vec![], vec![]));
    hub.publish_one(small(4, 0));
    assert_eq!(since(position(3, 41)), (vec![(3, 42, 60)], vec![0]));
}

#[test]
fn a_paused_place_wants_nothing_and_still_receives() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let demand = hub.demand(device_key().device_id());
    let (mut following, _) = hub.follow(key("detections"), &outbox, None);
    following.set_wanted(false);
    following.set_wanted(false);
    assert!(demand.borrow().streams.is_empty());
    hub.publish_one(small(3, 0));
    assert_eq!(drain(&outbox), ["detections 0"]);
    following.set_wanted(true);
    assert_eq!(demand.borrow().streams.len(), 1);
    drop(following);
    assert!(demand.borrow().streams.is_empty());
}

fn push(outbox: &Outbox, event: &Arc<Message>) -> u64 {
    outbox
        .push(&Arc::new(Parcel::new(std::slice::from_ref(event))))
        .0
}

#[test]
fn a_socket_that_lets_detections_pile_up_is_given_up() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let _detections = hub.follow(key("detections"), &outbox, None);
    let event = Arc::new(small(3, 0));
    for _ in 0..MAX_SMALL {
        assert_eq!(push(&outbox, &event), 0);
    }
    assert_eq!(push(&outbox, &event), MAX_SMALL as u64 + 1);
    assert!(outbox.pop().is_err());
    assert_eq!(push(&outbox, &event), 1);
    assert!(outbox.pop().is_err());
}

#[test]
fn nothing_falls_between_replay_and_live() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    for seq in 0..5 {
        hub.publish_one(small(3, seq));
    }
    let (mut following, replay) = hub.follow(key("detections"), &outbox, Some(position(3, 1)));
    hub.publish_one(small(3, 5));
    assert_eq!(seqs(&replay.events), [2, 3, 4]);
    // A second replay holds what waits, and takes it out of the queue.
    let again = following.join(position(3, 3), Missing::Refuse).unwrap();
    assert_eq!(seqs(&again.events), [4, 5]);
    assert!(drain(&outbox).is_empty());
    drop(following);
    hub.publish_one(small(3, 6));
    assert!(drain(&outbox).is_empty());
}

#[test]
fn where_something_is_missing_a_watcher_may_stay_apart() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let mut demand = hub.demand(device_key().device_id());
    for seq in 0..RING_EVENTS as u64 + 10 {
        hub.publish_one(small(3, seq));
    }
    let (mut following, _) = hub.follow(key("detections"), &outbox, None);
    hub.publish_one(small(3, 1_010));
    assert!(following.join(position(3, 5), Missing::Refuse).is_none());
    assert!(following.join(position(3, 5), Missing::Refuse).is_none());
    hub.publish_one(small(3, 1_011));
    assert!(drain(&outbox).is_empty());
    // The camera goes on meanwhile.
    assert_eq!(demand.borrow_and_update().streams.len(), 1);
    let replay = following.join(position(3, 1_009), Missing::Refuse).unwrap();
    assert_eq!(seqs(&replay.events), [1_010, 1_011]);
    hub.publish_one(small(3, 1_012));
    assert_eq!(drain(&outbox), ["detections 1012"]);
    let replay = following.join(position(3, 5), Missing::Tell).unwrap();
    assert_eq!(numbers(&replay.gone), [(3, 6, 12)]);
    hub.publish_one(small(3, 1_013));
    assert_eq!(drain(&outbox), ["detections 1013"]);
    drop(following);
    assert!(demand.borrow_and_update().streams.is_empty());
}

#[test]
fn watchers_make_the_demand() {
    let (hub, outbox) = (Hub::new(Metrics::new()), Outbox::default());
    let mut demand = hub.demand(device_key().device_id());
    let frames = hub.follow(key("frames"), &outbox, None);
    assert_eq!(demand.borrow_and_update().streams.len(), 1);
    drop(frames);
    assert!(demand.borrow_and_update().streams.is_empty());
}

#[test]
fn a_moment_is_paid_only_inside_a_window_of_its_own_feed() {
    let feeds = [1, 2].map(|byte| FeedId::new([byte; 32]));
    let moment = Moment {
        at: 0,
        feed_times: vec![(feeds[0], 100)],
        paused: Vec::new(),
    };
    for (name, feed, windows, expected) in [
        ("inside", feeds[0], vec![(100, 160)], true),
        ("at the expiry", feeds[0], vec![(40, 100)], false),
        ("before the start", feeds[0], vec![(101, 160)], false),
        ("a second window", feeds[0], vec![(0, 60), (90, 120)], true),
        (
            "another feed, or a clock that stood",
            feeds[1],
            vec![(0, 1_000)],
            false,
        ),
        ("nothing paid", feeds[0], vec![], false),
    ] {
        assert_eq!(moment.is_within(feed, &windows), expected, "{name}");
    }
}
