use ashya_contracts::ClockChange;

use super::*;

const OWNER: Address = Address::new([1; 20]);
const ALICE: Address = Address::new([2; 20]);
const BOB: Address = Address::new([3; 20]);
const CAMERA: DeviceId = DeviceId::new([4; 20]);
const FEED: FeedId = FeedId::new([5; 32]);
const BASE: u64 = 1_000;

fn index() -> LedgerIndex {
    LedgerIndex::new(Domain {
        chain_id: 31_337,
        ledger: Address::new([9; 20]),
    })
}

fn opened(feed: FeedId) -> LedgerEvent {
    LedgerEvent::FeedOpened {
        feed,
        device: CAMERA,
        name: "gate".parse().unwrap(),
        owner: OWNER,
        base: BASE,
    }
}

fn set(device: DeviceId, price: u128, listing: u8) -> LedgerEvent {
    LedgerEvent::FeedSet {
        feed: FEED,
        device,
        price: Wei::new(price),
        payout: OWNER,
        pauser: Address::ZERO,
        listing: Hash::new([listing; 32]),
    }
}

fn subscribed(payer: Address, start: u64, expiry: u64) -> LedgerEvent {
    LedgerEvent::SubscriptionSet {
        feed: FEED,
        beneficiary: ALICE,
        payer,
        price: Wei::new(5),
        start,
        expiry,
    }
}

fn clock(paused_at: Option<u64>, paused_total: u64, retires_at: Option<u64>) -> LedgerEvent {
    LedgerEvent::FeedClock {
        feed: FEED,
        clock: ClockChange {
            paused_at,
            paused_total,
            paused_by: paused_at.map(|_| OWNER),
            retires_at,
        },
    }
}

/// A history in which everything happens.
fn history() -> Vec<LedgerEvent> {
    vec![
        opened(FEED),
        set(CAMERA, 5, 1),
        subscribed(ALICE, 10, 100),
        subscribed(BOB, 20, 500),
        clock(Some(BASE + 50), 0, None),
        clock(None, 25, None),
        subscribed(ALICE, 10, 60),
        set(DeviceId::new([6; 20]), 7, 2),
        LedgerEvent::FeedTransferred {
            feed: FEED,
            from: OWNER,
            to: BOB,
        },
        LedgerEvent::Withdrawn {
            feed: FEED,
            payout: OWNER,
            amount: Wei::new(1),
        },
        clock(None, 25, Some(3_600)),
    ]
}

#[test]
fn events_build_the_feed() {
    let index = index();
    index.apply(&history());
    let feed = index.feed(FEED).unwrap();
    assert_eq!(feed.name.as_str(), "gate");
    assert_eq!((feed.owner, feed.price), (BOB, Wei::new(7)));
    assert_eq!(feed.clock.base, BASE);
    assert_eq!(feed.clock.retires_at, Some(3_600));
    assert_eq!(index.feeds_of_device(DeviceId::new([6; 20])), [FEED]);
    assert_eq!(index.feeds_of_device(CAMERA), []);
    assert_eq!(index.subscriptions_of(ALICE).len(), 2);
    assert_eq!(index.subscriptions_of(BOB).len(), 1);
    assert!(index.streams_are_hidden());
    let offer = index.offer(FEED).unwrap();
    assert_eq!((offer.price, offer.minimum), (Wei::new(7), 60));
    assert_eq!(offer.chain_id, 31_337);
}

impl LedgerIndex {
    /// Without the listing document nothing is known of the streams.
    fn streams_are_hidden(&self) -> bool {
        self.feed(FEED).unwrap().streams().is_empty()
    }
}

#[test]
fn every_feed_is_found_by_its_id_and_by_who_may_pause_it() {
    let index = index();
    let other = FeedId::new([4; 32]);
    index.apply(&[opened(FEED), opened(other)]);
    let ids = |feeds: Vec<FeedView>| feeds.iter().map(|feed| feed.id).collect::<Vec<_>>();
    assert_eq!(ids(index.feeds()), [other, FEED]);
    assert_eq!(ids(index.feeds_of_pauser(BOB)), []);
    index.apply(&[LedgerEvent::FeedSet {
        feed: FEED,
        device: CAMERA,
        price: Wei::new(5),
        payout: OWNER,
        pauser: BOB,
        listing: Hash::ZERO,
    }]);
    assert_eq!(ids(index.feeds_of_pauser(BOB)), [FEED]);
    assert_eq!(ids(index.feeds_of_pauser(Address::ZERO)), [other]);
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

#[test]
fn a_step_back_restores_what_was() {
    let events = history();
    let blocks: Vec<_> = events.chunks(2).collect();
    for fork in 0..=blocks.len() {
        let index = index();
        index.step([], blocks[..fork].iter().copied());
        let expected = index.snapshot();
        let watcher = index.changes_for(FEED, ALICE);
        let stepped = index.step([], blocks[fork..].iter().copied());
        let undone = index.step(stepped.undos.iter().rev(), []);
        assert_eq!(index.snapshot(), expected, "back to {fork}");
        assert_eq!(
            undone.changed.subscriptions.len(),
            stepped.changed.subscriptions.len()
        );
        drop(watcher);
    }
}

#[test]
fn a_payment_that_both_branches_hold_wakes_nobody() {
    let index = index();
    index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
    let paid = [subscribed(ALICE, 10, 100)];
    let stepped = index.step([], [&paid[..]]);
    let alice = index.changes_for(FEED, ALICE);
    let again = index.step(&stepped.undos, [&[][..], &paid[..]]);
    assert!(!alice.has_changed().unwrap());
    assert_eq!(again.undos.len(), 2);
    index.step(again.undos.iter().rev(), []);
    assert!(alice.has_changed().unwrap(), "taken back for good");
    assert_eq!(index.access(FEED, ALICE, BASE + 50), Access::Denied);
}

#[test]
fn a_step_that_says_nothing_changes_nothing() {
    let index = index();
    for (name, event, is_empty) in [
        (
            "a withdrawal",
            LedgerEvent::Withdrawn {
                feed: FEED,
                payout: OWNER,
                amount: Wei::new(1),
            },
            true,
        ),
        ("an opening", opened(FEED), false),
        ("a payment", subscribed(ALICE, 10, 100), false),
    ] {
        let stepped = index.step([], [&[event][..]]);
        assert_eq!(stepped.changed.is_empty(), is_empty, "{name}");
    }
}

#[test]
fn an_undo_has_a_json_form() {
    let index = index();
    let events = history();
    let stepped = index.step([], [&events[..]]);
    for delta in [&stepped.undos[0], &stepped.changed] {
        let json = serde_json::to_vec(delta).unwrap();
        assert_eq!(serde_json::from_slice::<Delta>(&json).unwrap(), *delta);
    }
}

#[test]
fn a_document_is_shown_while_its_hash_is_the_ledgers() {
    let index = index();
    let text = format!(
        r#"{{"description":"","device":"{CAMERA}","name":"gate","privacy":"","streams":[{{"eventsPerMinute":60,"name":"detections"}}],"title":"Gate"}}"#
    );
    let listing = Listing::from_canonical_json(&text).unwrap();
    let hash = Hash::new([2; 32]);
    let document = Arc::new(ListingDocument {
        hash,
        text,
        listing,
    });
    index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
    let mut changes = index.changes(FEED);
    index.set_document(FEED, document);
    assert!(changes.has_changed().unwrap());
    assert!(index.streams_are_hidden());
    index.apply(&[set(CAMERA, 5, 2)]);
    assert!(!index.streams_are_hidden());
    changes.mark_unchanged();
    index.replace(&index.snapshot());
    assert!(!changes.has_changed().unwrap(), "nothing differs");
    assert!(!index.streams_are_hidden(), "documents outlive a rebuild");
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
    let extended = index.step([], [&[subscribed(ALICE, 10, 900)][..]]);
    assert_eq!([100, 899, 900].map(live), [true, true, false]);
    index.step(&extended.undos, []);
    assert_eq!([99, 100].map(live), [true, false]);
}
