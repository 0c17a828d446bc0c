use std::sync::Arc;

use ashya_protocol::{Boot, Seq};

use super::*;
use crate::spool::Fetched;

/// Patience of a link without a connection.
const AT_ONCE: Duration = Duration::ZERO;

fn event(stream: &str, seq: u64) -> Signed {
    Signed {
        stream: stream.parse().unwrap(),
        boot: Boot::try_from(7).unwrap(),
        seq: Seq::try_from(seq).unwrap(),
        kind: Kind::Event,
        envelope: vec![seq as u8; 100],
    }
}

fn picture(seq: u64, bytes: usize) -> Signed {
    Signed {
        kind: Kind::Picture,
        envelope: vec![0; bytes],
        ..event("snapshots", seq)
    }
}

/// An outbox of a device that has never run.
fn empty() -> Outbox {
    let mut outbox = Outbox::default();
    outbox.expect([]);
    outbox
}

fn filled(streams: &[(&str, u64)]) -> Outbox {
    let mut outbox = empty();
    for (stream, events) in streams {
        for seq in 0..*events {
            outbox.push(event(stream, seq), None, Instant::now());
        }
    }
    outbox
}

fn hand_all(outbox: &mut Outbox) -> Vec<(String, u64)> {
    let mut handed = Vec::new();
    while let Some(due) = outbox.due() {
        handed.push((due.stream.to_string(), due.seq.get()));
        outbox.handed();
    }
    handed
}

fn seqs(handed: &[(String, u64)]) -> Vec<u64> {
    handed.iter().map(|(_, seq)| *seq).collect()
}

#[test]
fn what_is_not_acknowledged_comes_again_in_order() {
    let mut outbox = filled(&[("a", 40)]);
    let first = hand_all(&mut outbox);
    assert_eq!(seqs(&first), (0..WINDOW as u64).collect::<Vec<_>>());
    (1..=3).for_each(|packet| outbox.written(packet, Instant::now()));
    assert!(outbox.acknowledged(2));
    assert!(!outbox.acknowledged(2) && !outbox.acknowledged(9));
    assert_eq!(seqs(&hand_all(&mut outbox)), [32]);
    outbox.rewind();
    let mut expected: Vec<_> = (0..=32).collect();
    expected.remove(1);
    assert_eq!(seqs(&hand_all(&mut outbox)), expected);
    // Packet numbers of the old connection mean nothing now.
    assert!(!outbox.acknowledged(1));
    (7..=38).for_each(|packet| outbox.written(packet, Instant::now()));
    assert!((7..=38).all(|packet| outbox.acknowledged(packet)));
    assert_eq!(hand_all(&mut outbox).len(), 7);
    assert_eq!(outbox.tally().acknowledged, 33);
}

#[test]
fn streams_take_turns() {
    let mut outbox = filled(&[("backlog", 100), ("now", 2), ("status", 1)]);
    let handed = hand_all(&mut outbox);
    let names: Vec<_> = handed.iter().map(|(stream, _)| stream.as_str()).collect();
    assert_eq!(names[..5], ["backlog", "now", "status", "backlog", "now"]);
    assert!(names[5..].iter().all(|name| *name == "backlog"));
}

#[test]
fn few_large_ones_are_under_way_at_a_time_but_always_one() {
    let mut outbox = empty();
    for seq in 0..4 {
        outbox.push(picture(seq, 2 * WINDOW_BYTES / 3), None, Instant::now());
    }
    outbox.push(picture(4, 2 * WINDOW_BYTES), None, Instant::now());
    for packet in 1..=5 {
        assert_eq!(hand_all(&mut outbox).len(), 1, "{packet}");
        outbox.written(packet, Instant::now());
        assert!(outbox.acknowledged(packet));
    }
}

#[test]
fn nothing_is_written_while_the_gateway_answers() {
    let mut outbox = filled(&[("a", 5)]);
    let now = Instant::now();
    assert!(outbox.errand(now, Duration::from_secs(1)).is_none());
    let later = now + Duration::from_secs(2);
    let errand = outbox.errand(later, Duration::from_secs(1)).unwrap();
    assert_eq!(errand.keep.len(), 5);
    assert!(outbox.errand(later, AT_ONCE).is_none(), "once");
}

/// Plays the disk: keeps and fetches without one.
#[derive(Default)]
struct Disk(BTreeMap<Place, Arc<Signed>>);

impl Disk {
    fn turn(&mut self, errand: &Errand) -> Turned {
        for place in &errand.forget {
            self.0.remove(place);
        }
        for event in &errand.keep {
            self.0.insert(Place::of(event), event.clone());
        }
        let fetched = errand.fetch.iter().map(|fetch| {
            let is_next =
                |place: &Place| place.stream == fetch.stream && Some(place.position) > fetch.after;
            let mut found = self.0.iter().filter(|(place, _)| is_next(place));
            let events = found.by_ref().take(fetch.most);
            let events: Vec<_> = events.map(|(_, event)| (**event).clone()).collect();
            Fetched {
                stream: fetch.stream.clone(),
                events,
                more: found.next().is_some(),
            }
        });
        Turned {
            fetched: fetched.collect(),
            dropped: Vec::new(),
        }
    }
}

/// Acknowledges all that is under way.
fn deliver(outbox: &mut Outbox, packet: &mut u16) -> Vec<u64> {
    let handed = hand_all(outbox);
    for _ in &handed {
        *packet += 1;
        outbox.written(*packet, Instant::now());
        assert!(outbox.acknowledged(*packet));
    }
    seqs(&handed)
}

#[test]
fn a_long_absence_is_sent_in_order_while_more_comes() {
    let (mut outbox, mut disk, mut next) = (empty(), Disk::default(), 0);
    let mut push = |outbox: &mut Outbox, count: u64| {
        for seq in next..next + count {
            outbox.push(event("a", seq), None, Instant::now());
        }
        next += count;
    };
    for _ in 0..100 {
        push(&mut outbox, 30);
        let errand = outbox.errand(Instant::now(), AT_ONCE).unwrap();
        // Some come while the disk is at it.
        push(&mut outbox, 3);
        outbox.settle(disk.turn(&errand));
        let in_memory: usize = outbox.lanes.values().map(|lane| lane.fresh_len()).sum();
        assert!(in_memory <= 3, "{in_memory}: memory is flat");
    }
    let (mut sent, mut packet, mut rounds) = (Vec::new(), 0, 0);
    while sent.len() < 3_300 + 2 * 200 {
        rounds += 1;
        if rounds <= 200 {
            push(&mut outbox, 2);
        }
        sent.extend(deliver(&mut outbox, &mut packet));
        let errand = if rounds % 10 == 0 {
            outbox.errand(Instant::now(), AT_ONCE)
        } else {
            outbox.reading()
        };
        if let Some(errand) = errand {
            let turned = disk.turn(&errand);
            outbox.settle(turned);
        }
        assert!(rounds < 1_000, "{} sent", sent.len());
    }
    assert!(sent.iter().copied().eq(0..3_700), "each once, in order");
    let last = outbox.errand(Instant::now(), AT_ONCE);
    last.iter().for_each(|errand| drop(disk.turn(errand)));
    assert!(disk.0.is_empty(), "{:?}", disk.0.keys());
    assert_eq!(outbox.unkept(), 0);
}

#[test]
fn what_an_earlier_start_has_left_goes_first() {
    let mut disk = Disk::default();
    let keep = (0..3).map(|seq| Arc::new(event("a", seq))).collect();
    disk.turn(&Errand {
        keep,
        ..Errand::default()
    });
    let mut outbox = Outbox::default();
    for (stream, seq) in [("a", 3), ("b", 0)] {
        outbox.push(event(stream, seq), None, Instant::now());
    }
    assert_eq!(hand_all(&mut outbox), [], "nobody has looked at the disk");
    outbox.expect(["a".parse().unwrap()]);
    assert_eq!(hand_all(&mut outbox), [("b".to_owned(), 0)]);
    let turned = disk.turn(&outbox.reading().unwrap());
    outbox.settle(turned);
    assert_eq!(seqs(&hand_all(&mut outbox)), [0, 1, 2, 3]);
}

/// An event of the start before that of [`event`].
fn earlier(stream: &str, seq: u64) -> Signed {
    Signed {
        boot: Boot::try_from(6).unwrap(),
        ..event(stream, seq)
    }
}

/// A disk with three events of an earlier start.
fn with_a_past() -> Disk {
    let mut disk = Disk::default();
    let keep = (0..3).map(|seq| Arc::new(earlier("a", seq))).collect();
    disk.turn(&Errand {
        keep,
        ..Errand::default()
    });
    disk
}

/// Reads on and hands over until nothing is due; boots and numbers, all acknowledged.
fn drain(outbox: &mut Outbox, disk: &mut Disk, packet: &mut u16) -> Vec<(u64, u64)> {
    let mut sent = Vec::new();
    loop {
        if let Some(errand) = outbox.reading() {
            let turned = disk.turn(&errand);
            outbox.settle(turned);
        }
        let Some(due) = outbox.due() else {
            return sent;
        };
        sent.push((due.boot.get(), due.seq.get()));
        outbox.handed();
        *packet += 1;
        outbox.written(*packet, Instant::now());
        assert!(outbox.acknowledged(*packet));
    }
}

#[test]
fn an_earlier_start_goes_first_though_its_disk_comes_late() {
    let (mut disk, mut outbox, now) = (with_a_past(), Outbox::default(), Instant::now());
    for seq in 0..200 {
        outbox.push(event("a", seq), None, now);
    }
    for seconds in [0, 5, 15] {
        let at = now + Duration::from_secs(seconds);
        assert_eq!(outbox.unsettle(Errand::default(), at), Patience::Lasts);
        assert_eq!(hand_all(&mut outbox), []);
    }
    assert_ne!(outbox.past, Past::Known);
    outbox.expect(["a".parse().unwrap()]);
    let sent = drain(&mut outbox, &mut disk, &mut 0);
    let expected = (0..3).map(|seq| (6, seq));
    let expected = expected.chain((0..200).map(|seq| (7, seq)));
    assert!(sent.iter().copied().eq(expected), "{sent:?}");
}

#[test]
fn a_disk_that_is_never_opened_holds_nothing_back_for_long() {
    let (mut disk, mut outbox, now) = (with_a_past(), Outbox::default(), Instant::now());
    for seq in 0..4 {
        outbox.push(event("a", seq), None, now);
    }
    let said = [0, 10, 20, 25].map(|seconds| {
        let at = now + Duration::from_secs(seconds);
        outbox.unsettle(Errand::default(), at)
    });
    let [lasts, ended] = [Patience::Lasts, Patience::Ended];
    assert_eq!(said, [lasts, lasts, ended, lasts], "told once");
    assert_ne!(outbox.past, Past::Known);
    // What no connection took until the disk comes after all still goes behind the past.
    assert_eq!(outbox.due().unwrap().seq.get(), 0);
    outbox.expect(["a".parse().unwrap()]);
    let sent = drain(&mut outbox, &mut disk, &mut 0);
    let expected = [(6, 0), (6, 1), (6, 2), (7, 0), (7, 1), (7, 2), (7, 3)];
    assert_eq!(sent, expected);
}

#[test]
fn what_a_later_start_has_overtaken_counts_as_refused() {
    let (mut disk, mut outbox, now) = (with_a_past(), Outbox::default(), Instant::now());
    for seq in 0..4 {
        outbox.push(event("a", seq), None, now);
    }
    outbox.unsettle(Errand::default(), now);
    outbox.unsettle(Errand::default(), now + FIRST_LOOK);
    for packet in 1..=2 {
        outbox.handed();
        outbox.written(packet, Instant::now());
    }
    assert!(outbox.acknowledged(1));
    outbox.expect(["a".parse().unwrap()]);
    // The disk keeps what waits, and gives back the past and what it just kept.
    let errand = outbox.errand(now, AT_ONCE).unwrap();
    assert_eq!(errand.keep.len(), 3);
    let turned = disk.turn(&errand);
    outbox.settle(turned);
    let handed = std::iter::from_fn(|| {
        let due = outbox.due()?;
        let position = (due.boot.get(), due.seq.get());
        outbox.handed();
        Some(position)
    });
    let handed: Vec<_> = handed.collect();
    assert_eq!(handed, [(6, 0), (6, 1), (6, 2), (7, 2), (7, 3)]);
    // A new connection begins with all six again, and knows no better.
    outbox.rewind();
    assert_eq!(hand_all(&mut outbox).len(), 6);
    (3..=8).for_each(|packet| outbox.written(packet, Instant::now()));
    for seq in 0..3 {
        let position = earlier("a", seq).position();
        assert!(!outbox.refused(&"a".parse().unwrap(), position, REPLAYED));
    }
    (3..=8).for_each(|packet| assert!(outbox.acknowledged(packet)));
    let tally = outbox.tally();
    assert_eq!((tally.acknowledged, tally.refused), (4, 3));
    let last = outbox.errand(now, AT_ONCE);
    last.iter().for_each(|errand| drop(disk.turn(errand)));
    assert!(disk.0.is_empty(), "{:?}", disk.0.keys());
}

#[test]
fn a_disk_that_fails_costs_nothing_while_memory_lasts() {
    let mut outbox = filled(&[("a", 1_000)]);
    let errand = outbox.errand(Instant::now(), AT_ONCE).unwrap();
    assert_eq!(errand.keep.len(), 1_000);
    outbox.unsettle(errand, Instant::now());
    for seq in 1_000..5_000 {
        outbox.push(event("a", seq), None, Instant::now());
    }
    let dropped = outbox.tally().dropped_events;
    assert!(dropped > 0 && outbox.unkept() as u64 == 5_000 - dropped);
    let mut packet = 0;
    let mut sent = deliver(&mut outbox, &mut packet);
    loop {
        let more = deliver(&mut outbox, &mut packet);
        if more.is_empty() {
            break;
        }
        sent.extend(more);
    }
    assert_eq!(sent.len() as u64, 5_000 - dropped);
    assert!(sent.is_sorted(), "in order");
    assert_eq!(sent.last(), Some(&4_999), "the newest is kept");
}

#[test]
fn pictures_make_room_before_events() {
    let mut outbox = filled(&[("a", 200)]);
    for seq in 0..40 {
        outbox.push(picture(seq, FRESH_BYTES / 16), None, Instant::now());
    }
    let tally = outbox.tally();
    assert_eq!(tally.dropped_events, 0);
    assert!(tally.dropped_pictures > 10, "{tally:?}");
}

#[tokio::test]
async fn whoever_asks_is_told_once_what_became_of_an_event() {
    let mut outbox = empty();
    let mut fates = Vec::new();
    for seq in 0..4 {
        let (receipt, fate) = oneshot::channel();
        outbox.push(event("a", seq), Some(receipt), Instant::now());
        fates.push(fate);
    }
    assert_eq!(hand_all(&mut outbox).len(), 4);
    (1..=4).for_each(|packet| outbox.written(packet, Instant::now()));
    assert!(outbox.acknowledged(1));
    let position = event("a", 1).position();
    let again = outbox.refused(&"a".parse().unwrap(), position, "stream");
    assert!(!again && outbox.acknowledged(2));
    let errand = outbox.errand(Instant::now(), AT_ONCE).unwrap();
    let turned = Disk::default().turn(&errand);
    outbox.settle(turned);
    drop(outbox);
    let told: Vec<_> = fates.into_iter().map(|mut fate| fate.try_recv()).collect();
    let refused = Fate::Refused("stream".into());
    assert_eq!(
        told,
        [Fate::Acknowledged, refused, Fate::Kept, Fate::Kept].map(Ok)
    );
}

#[test]
fn an_event_that_was_sent_before_may_be_known_already() {
    let mut outbox = filled(&[("a", 2)]);
    assert_eq!(hand_all(&mut outbox).len(), 2);
    let stream = "a".parse().unwrap();
    assert!(!outbox.refused(&stream, event("a", 0).position(), REPLAYED));
    outbox.rewind();
    assert_eq!(hand_all(&mut outbox).len(), 2);
    assert!(outbox.refused(&stream, event("a", 1).position(), REPLAYED));
    (1..=2).for_each(|packet| outbox.written(packet, Instant::now()));
    assert!(outbox.acknowledged(1) && outbox.acknowledged(2));
    let tally = outbox.tally();
    assert_eq!((tally.refused, tally.acknowledged), (1, 1));
}
