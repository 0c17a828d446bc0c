use ashya_contracts::LedgerEvent;
use ashya_protocol::{Address, FeedId, Wei};

use super::*;
use crate::hub::tests::{DOMAIN, device_key, message as signed, position};
use crate::ledger_index::LedgerIndex;
use crate::store::{NewEvent, Store};
use crate::stream::StreamKey;

const FEED: FeedId = FeedId::new([5; 32]);
const OTHER: FeedId = FeedId::new([6; 32]);
const ALICE: Address = Address::new([2; 20]);
const START: u64 = 1_800_000_000;

fn key() -> StreamKey {
    StreamKey {
        device: device_key().device_id(),
        stream: "detections".parse().unwrap(),
    }
}

/// An event that was accepted so many seconds after the start, sold by one feed.
fn event(boot: u64, seq: u64, second: u64, feed: FeedId) -> NewEvent {
    let message = signed("detections", boot, seq, 10, Moment::default());
    NewEvent {
        key: key(),
        position: position(boot, seq),
        at: START + second,
        lost: None,
        feeds: vec![feed],
        envelope: message.envelope(),
    }
}

/// What a wallet has that bought these half-open windows of seconds.
fn paid(windows: &[(u64, u64)]) -> Right {
    let index = LedgerIndex::new(DOMAIN);
    index.apply(&[LedgerEvent::FeedOpened {
        feed: FEED,
        device: device_key().device_id(),
        name: "gate".parse().unwrap(),
        owner: Address::new([1; 20]),
        base: START,
    }]);
    for &(start, expiry) in windows {
        index.apply(&[LedgerEvent::SubscriptionSet {
            feed: FEED,
            beneficiary: ALICE,
            payer: ALICE,
            price: Wei::new(1),
            start,
            expiry,
        }]);
    }
    Right {
        feed: FEED,
        paid: index.paid(FEED, ALICE),
    }
}

fn owner() -> Right {
    Right {
        feed: FEED,
        paid: None,
    }
}

fn read_all(store: &Store, after: Position, right: fn() -> Right) -> (Vec<String>, usize) {
    let (mut said, mut pages, mut after) = (Vec::new(), 0, after);
    loop {
        let request = Request {
            key: key(),
            after,
            from: 0,
            rights: vec![right()],
            settled: false,
        };
        let page = read(&store.history, &request).unwrap();
        assert!(page.is_last || page.next > after, "it does not move");
        assert!(page.items.len() <= 2 * EVENTS);
        pages += 1;
        after = page.next;
        said.extend(page.items.into_iter().map(|item| match item {
            Item::Gone((boot, from, to)) => format!("gone {boot}:{from}-{to}"),
            Item::Event(message) => {
                let lost = message.lost();
                let lost = lost.map_or(String::new(), |gap| {
                    format!("lost {}-{} ", gap.from, gap.to)
                });
                format!(
                    "{lost}{}:{}",
                    message.position().boot,
                    message.position().seq
                )
            }
        }));
        if page.is_last {
            return (said, pages);
        }
    }
}

#[test]
fn the_walk_sees_what_is_gone() {
    type Steps = &'static [(u64, u64, u64)];
    type Gone = &'static [(u64, u64, u64)];
    type Row = (
        &'static str,
        (u64, u64),
        &'static [(u64, u64)],
        Steps,
        Gone,
        (u64, u64),
    );
    let rows: [Row; 9] = [
        ("nothing", (3, 5), &[], &[(3, 6, 0), (3, 7, 0)], &[], (3, 7)),
        ("a hole", (3, 5), &[], &[(3, 9, 0)], &[(3, 6, 8)], (3, 9)),
        ("lost is not gone", (3, 5), &[], &[(3, 9, 3)], &[], (3, 9)),
        ("both", (3, 5), &[], &[(3, 9, 2)], &[(3, 6, 6)], (3, 9)),
        (
            "pruned before",
            (3, 5),
            &[(3, 8)],
            &[(3, 9, 0)],
            &[(3, 6, 8)],
            (3, 9),
        ),
        (
            "a whole start pruned",
            (3, 5),
            &[(3, 9), (4, 2), (5, 3)],
            &[(5, 4, 0)],
            &[(3, 6, 9), (4, 0, 2), (5, 0, 3)],
            (5, 4),
        ),
        (
            "known up to there",
            (3, 9),
            &[(3, 9)],
            &[(4, 0, 0)],
            &[],
            (4, 0),
        ),
        (
            "all pruned",
            (3, 5),
            &[(3, 9), (4, 2)],
            &[],
            &[(3, 6, 9), (4, 0, 2)],
            (4, 2),
        ),
        ("a claim of the future", (9, 5), &[(3, 9)], &[], &[], (9, 5)),
    ];
    for (name, after, pruned, steps, expected, last) in rows {
        let number = |number: u64| number.try_into().unwrap();
        let mut walk = Walk {
            last: position(after.0, after.1),
            pruned: pruned
                .iter()
                .map(|&(boot, seq)| (boot.try_into().unwrap(), number(seq)))
                .collect(),
        };
        let mut gone = Vec::new();
        for &(boot, seq, lost) in steps {
            gone.extend(walk.meet(position(boot, seq), lost));
        }
        gone.extend(walk.end());
        let gone: Vec<_> = gone
            .iter()
            .map(|(boot, from, to)| (boot.get(), from.get(), to.get()))
            .collect();
        assert_eq!(gone, expected, "{name}");
        assert_eq!(walk.last, position(last.0, last.1), "{name}");
    }
}

#[test]
fn a_page_holds_what_is_paid_and_no_more() {
    let store = Store::temporary();
    let mut events: Vec<_> = (0..10).map(|seq| event(3, seq, 10 * seq, FEED)).collect();
    events.push(event(3, 12, 120, FEED));
    events.last_mut().unwrap().lost = lost_before(position(3, 12), 2);
    // At that time another feed sold the device.
    events.push(event(4, 0, 130, OTHER));
    events.push(event(4, 1, 135, FEED));
    store.keep_accepted([], &events).unwrap();
    let said = |right| read_all(&store, position(3, 2), right).0;
    assert_eq!(
        said(owner),
        [
            "3:3",
            "3:4",
            "3:5",
            "3:6",
            "3:7",
            "3:8",
            "3:9",
            "lost 10-11 3:12",
            "4:0",
            "4:1"
        ]
    );
    assert_eq!(said(|| paid(&[(35, 60)])), ["3:4", "3:5"]);
    assert_eq!(
        said(|| paid(&[(0, 31), (60, 70), (115, 1_000)])),
        ["3:3", "3:6", "lost 10-11 3:12", "4:1"]
    );
    assert!(said(|| paid(&[])).is_empty());
}

#[test]
fn a_long_past_comes_in_pages_and_what_is_damaged_is_gone() {
    let store = Store::temporary();
    let mut events: Vec<_> = (0..1_000).map(|seq| event(3, seq, seq, FEED)).collect();
    events[500].envelope = b"not an envelope".as_slice().into();
    events[600].envelope = events[601].envelope.clone();
    store.keep_accepted([], &events).unwrap();
    let (said, pages) = read_all(&store, position(3, 0), owner);
    let expected = (1..1_000).map(|seq| match seq {
        500 | 600 => format!("gone 3:{seq}-{seq}"),
        seq => format!("3:{seq}"),
    });
    assert_eq!(said, expected.collect::<Vec<_>>());
    assert!(pages >= 4, "{pages}");
    let (said, pages) = read_all(&store, position(3, 0), || paid(&[(990, 992)]));
    assert_eq!((said.len(), pages), (2, 1));
}
