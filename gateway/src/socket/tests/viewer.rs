//! What a viewer gives out, without a connection.

use std::collections::BTreeMap;

use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{Address, FeedId, Position};
use futures_util::FutureExt;

use super::world::{ALICE, BOB, FEED, OWNER, PATIENCE, SECOND_FEED, START, World};
use crate::hub::tests::{device_key, position};
use crate::registration_policy::RegistrationPolicy;
use crate::socket::{Outgoing, Step, Viewer, WatchRefusal};

pub(super) fn watch(viewer: &mut Viewer, feed: FeedId, since: Option<Position>) {
    let streams = Some(["detections".parse().unwrap()].into());
    let since: BTreeMap<_, _> = since
        .map(|position| ("detections".parse().unwrap(), position))
        .into_iter()
        .collect();
    viewer.watch(feed, streams, &since).unwrap();
}

/// All that a viewer has to say now, in words.
pub(super) fn drain(viewer: &mut Viewer) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        said.push(match viewer.next(viewer.read_clock()) {
            Step::Idle => return said,
            Step::TooSlow => "too slow".to_owned(),
            Step::Write(Outgoing::Event(event), _) => event.position().seq.to_string(),
            Step::Write(Outgoing::Control(message), _) => match message {
                ServerMessage::Watching { .. } => "watching".to_owned(),
                ServerMessage::Notice { state, .. } => format!("{state:?}").to_lowercase(),
                ServerMessage::Ended { reason, .. } => format!("{reason:?}").to_lowercase(),
                other => format!("{other:?}"),
            },
        });
    }
}

fn paused_drops(world: &World) -> bool {
    let text = world.parts.metrics.render();
    text.contains("events_dropped_total{reason=\"paused\"} 1\n")
}

#[tokio::test]
async fn a_pause_holds_back_what_is_paid_and_drops_what_is_not() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.publish("detections", 0);
    world.publish("detections", 1);
    world.pause(START + 1);
    world.jump(1);
    world.publish_held("detections", 2);
    assert_eq!(drain(&mut alice), ["watching", "paused"]);
    assert!(paused_drops(&world));
    let demand = world.parts.hub.demand(device_key().device_id());
    assert!(demand.borrow().streams.is_empty());
    world.jump(11);
    world.resume(10);
    world.publish("detections", 3);
    assert_eq!(drain(&mut alice), ["resumed", "0", "1", "3"]);
    assert_eq!(demand.borrow().streams.len(), 1);
    world.cancel(FEED, ALICE);
    world.publish("detections", 4);
    assert_eq!(drain(&mut alice), ["cancelled"]);
}

#[tokio::test]
async fn who_comes_back_during_a_pause_gets_the_replay_after_it() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    for seq in 0..3 {
        world.publish("detections", seq);
    }
    world.pause(START + 1);
    world.jump(1);
    world.publish_held("detections", 3);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    assert_eq!(drain(&mut alice), ["watching", "paused"]);
    world.resume(10);
    assert_eq!(drain(&mut alice), ["resumed", "1", "2"]);
}

#[tokio::test]
async fn a_replay_holds_what_any_feed_has_paid() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    world.subscribe_from(SECOND_FEED, ALICE, START + 100, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    for seq in 0..3 {
        world.publish("detections", seq);
    }
    world.jump(100);
    world.publish("detections", 3);
    // The second feed was not paid yet when these came, but the first was.
    watch(&mut alice, SECOND_FEED, Some(position(3, 0)));
    assert_eq!(drain(&mut alice), ["watching", "watching", "1", "2", "3"]);
    world.publish("detections", 4);
    assert_eq!(drain(&mut alice), ["4"]);
}

#[tokio::test]
async fn a_newer_replay_takes_the_place_of_an_older_one() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    for seq in 0..1_100 {
        world.publish("detections", seq);
    }
    let mut alice = Viewer::new(world.parts, ALICE);
    for _ in 0..50 {
        watch(&mut alice, FEED, Some(position(3, 0)));
        assert!(!alice.is_caught_up());
    }
    let said = drain(&mut alice);
    assert!(alice.is_caught_up());
    let events = said.iter().filter(|word| word.parse::<u64>().is_ok());
    assert_eq!(events.count(), 1_000);
    let gone = said.iter().filter(|word| word.contains("Gap"));
    assert_eq!(gone.count(), 1);
}

#[tokio::test]
async fn an_event_from_before_the_payment_is_not_paid() {
    let world = World::start().await;
    world.subscribe_from(FEED, ALICE, START + 1, START + 600);
    world.jump(1);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.publish_at("detections", 0, 0);
    world.publish_at("detections", 1, 1);
    assert_eq!(drain(&mut alice), ["watching", "1"]);
}

#[tokio::test]
async fn a_watch_whose_time_has_not_begun_begins_by_itself() {
    let world = World::start().await;
    // The block's clock is ahead of this one.
    world.subscribe_from(FEED, ALICE, START + 1, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.publish_at("detections", 0, 0);
    assert!(drain(&mut alice).is_empty(), "no offer: it is paid");
    let began = tokio::time::Instant::now();
    tokio::time::timeout(PATIENCE, alice.turn()).await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_millis(1_200));
    world.publish_at("detections", 1, 1);
    assert_eq!(drain(&mut alice), ["watching", "1"]);
}

#[tokio::test]
async fn a_watch_begins_when_the_clock_gets_there_first() {
    let world = World::start().await;
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    assert_eq!(drain(&mut alice).len(), 1, "an offer");
    // The follower tells the index of a block before it tells the clock.
    world.subscribe_from(FEED, ALICE, START + 100, START + 600);
    assert!(drain(&mut alice).is_empty());
    world.jump(100);
    tokio::time::timeout(PATIENCE, alice.turn()).await.unwrap();
    assert_eq!(drain(&mut alice), ["watching"]);
}

#[tokio::test]
async fn a_watch_begins_with_the_first_second_that_is_paid() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 10);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.jump(9);
    world.publish("detections", 9);
    assert_eq!(drain(&mut alice), ["watching", "9"]);
    for second in 10..20 {
        world.jump(second);
        world.publish("detections", second);
    }
    assert!(alice.turn().now_or_never().is_some());
    assert_eq!(drain(&mut alice), ["expired"]);
    watch(&mut alice, FEED, None);
    drain(&mut alice);
    for second in 20..24 {
        world.jump(second);
        world.publish("detections", second);
    }
    let mut bob = Viewer::new(world.parts.clone(), BOB);
    watch(&mut bob, FEED, None);
    drain(&mut bob);
    // The block of second 21 comes now, with a purchase and an extension.
    world.subscribe_from(FEED, BOB, START + 21, START + 600);
    world.subscribe(FEED, ALICE, START + 600);
    world.publish("detections", 24);
    // Nobody gets what came before it was asked for.
    assert_eq!(
        drain(&mut alice),
        ["watching", "19", "20", "21", "22", "23", "24"]
    );
    assert_eq!(drain(&mut bob), ["watching", "23", "24"]);
}

#[tokio::test]
async fn a_second_feed_of_the_device_begins_without_repeating_the_first() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    for feed in [FEED, SECOND_FEED] {
        watch(&mut alice, feed, None);
    }
    drain(&mut alice);
    for number in 0..3 {
        world.publish("detections", number);
    }
    assert_eq!(drain(&mut alice), ["0", "1", "2"]);
    world.subscribe(SECOND_FEED, ALICE, START + 600);
    world.publish("detections", 3);
    assert_eq!(drain(&mut alice), ["watching", "3"]);
}

#[tokio::test]
async fn the_ledgers_word_acts_before_the_very_next_event() {
    type Word = fn(&World);
    let cancel: Word = |world| world.cancel(FEED, ALICE);
    let transfer: Word = |world| world.transfer(BOB);
    let pause: Word = |world| world.pause(START + 1);
    for (wallet, word, told) in [
        (ALICE, cancel, "cancelled"),
        (OWNER, transfer, "cancelled"),
        (ALICE, pause, "paused"),
    ] {
        let world = World::start().await;
        world.subscribe(FEED, ALICE, START + 600);
        let mut viewer = Viewer::new(world.parts.clone(), wallet);
        watch(&mut viewer, FEED, None);
        world.publish("detections", 0);
        assert_eq!(drain(&mut viewer), ["watching", "0"]);
        // Nothing waits for the viewer's turn: the next event was accepted before, and is already in its queue.
        world.publish("detections", 1);
        word(&world);
        assert_eq!(drain(&mut viewer), [told]);
    }
}

#[tokio::test]
async fn a_step_of_the_clock_reaches_each_watch_once() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 100);
    world.subscribe(SECOND_FEED, ALICE, START + 200);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    for feed in [FEED, SECOND_FEED] {
        watch(&mut alice, feed, None);
    }
    assert_eq!(drain(&mut alice), ["watching", "watching"]);
    for (second, said) in [
        (60, &[][..]),
        (80, &["expiring"]),
        (90, &[]),
        (150, &["expired"]),
        (175, &["expiring"]),
        (201, &["expired"]),
    ] {
        world.jump(second);
        assert!(alice.turn().now_or_never().is_some(), "{second}");
        assert_eq!(drain(&mut alice), said, "{second}");
        assert!(alice.turn().now_or_never().is_none(), "{second}");
    }
}

#[tokio::test]
async fn who_has_not_paid_is_offered_an_open_feed_only() {
    let world = World::start().await;
    world.pause(START);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    assert_eq!(drain(&mut alice), ["paused"]);
    let offers = &world.parts.metrics.offers;
    assert_eq!(offers.get(), 0);
    // Who waits is told as soon as it can be bought, or no longer.
    world.jump(10);
    world.resume(10);
    let said = drain(&mut alice);
    assert!(said[0].starts_with("PaymentRequired"), "{said:?}");
    assert_eq!((said.len(), offers.get()), (1, 1));
    world.pause_after(START + 20, 10);
    assert_eq!(drain(&mut alice), ["paused"]);
    watch(&mut alice, FEED, None);
    assert_eq!(drain(&mut alice), ["paused"]);
    world.retire();
    assert_eq!(drain(&mut alice), ["retired"]);
    assert!(!alice.is_watching());
    watch(&mut alice, FEED, None);
    assert_eq!(drain(&mut alice), ["retired"]);
    assert!(!alice.is_watching());
    assert_eq!(offers.get(), 1);
    assert_eq!(world.parts.metrics.watches.get(), 0);
}

#[tokio::test]
async fn who_waits_to_pay_hears_of_other_terms_and_of_none_that_are_hidden() {
    type Word = fn(&World);
    let world = World::start().await;
    world.parts.index.set_policy(RegistrationPolicy::Listed {
        owners: [OWNER].into(),
        devices: Default::default(),
    });
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    assert!(drain(&mut alice)[0].starts_with("PaymentRequired"));
    let rows: [(&str, Word, Option<&str>); 9] = [
        ("another price", |world| world.set_price(7), Some("Wei(7)")),
        ("the same", |world| world.set_price(7), None),
        ("a pause", |world| world.pause(START), Some("paused")),
        ("that was undone", |world| world.resume(0), Some("Wei(7)")),
        (
            "somebody who may not sell",
            |world| world.transfer(BOB),
            None,
        ),
        ("pauses", |world| world.pause(START), Some("paused")),
        ("and sells", |world| world.resume(0), None),
        ("at another price", |world| world.set_price(9), None),
        (
            "gives it back",
            |world| world.transfer(OWNER),
            Some("Wei(9)"),
        ),
    ];
    for (name, word, told) in rows {
        word(&world);
        let said = drain(&mut alice);
        assert_eq!(said.len(), usize::from(told.is_some()), "{name}: {said:?}");
        for (said, told) in said.iter().zip(told) {
            assert!(said.contains(told), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn who_has_paid_watches_a_feed_that_is_not_sold() {
    type Word = fn(&World);
    let pause: Word = |world| world.pause(START + 1);
    let retire: Word = |world| world.retire();
    for (word, alice) in [
        (pause, &["watching", "paused"][..]),
        (retire, &["watching"]),
    ] {
        let world = World::start().await;
        world.subscribe(FEED, ALICE, START + 600);
        world.jump(1);
        word(&world);
        for (wallet, said) in [(ALICE, alice), (OWNER, &["watching"])] {
            let mut viewer = Viewer::new(world.parts.clone(), wallet);
            watch(&mut viewer, FEED, None);
            assert_eq!(drain(&mut viewer), said);
        }
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_gives_access_again() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 100);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    world.jump(150);
    watch(&mut alice, FEED, None);
    let said = drain(&mut alice);
    assert!(said[0].starts_with("PaymentRequired"), "{said:?}");
    assert!(alice.turn().now_or_never().is_none());
    world.jump(50);
    assert!(alice.turn().now_or_never().is_some());
    assert_eq!(drain(&mut alice), ["watching"]);
}

#[tokio::test]
async fn who_has_paid_is_served_though_the_new_owner_may_not_sell() {
    let world = World::start().await;
    world.parts.index.set_policy(RegistrationPolicy::Listed {
        owners: [OWNER].into(),
        devices: Default::default(),
    });
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.transfer(BOB);
    world.publish("detections", 0);
    assert_eq!(drain(&mut alice), ["watching", "0"]);
    drop(alice);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    world.publish("detections", 1);
    assert_eq!(drain(&mut alice), ["watching", "1"]);

    let mut stranger = Viewer::new(world.parts.clone(), Address::new([4; 20]));
    let refused = stranger.watch(FEED, None, &BTreeMap::new());
    assert_eq!(refused, Err(WatchRefusal::ListingMissing));
    world.transfer(OWNER);
    assert_eq!(stranger.watch(FEED, None, &BTreeMap::new()), Ok(()));
}

#[tokio::test]
async fn a_gap_of_one_stream_is_told_though_another_is_replayed_after_it() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    for stream in ["detections", "frames"] {
        world.publish(stream, 0);
        world.publish_after_loss((1, 1), stream, 2);
    }
    let mut alice = Viewer::new(world.parts, ALICE);
    let since = ["detections", "frames"].map(|name| (name.parse().unwrap(), position(3, 0)));
    alice.watch(FEED, None, &BTreeMap::from(since)).unwrap();
    let said = drain(&mut alice);
    let gaps = said.iter().filter(|word| word.starts_with("Gap"));
    assert_eq!(gaps.count(), 2, "{said:?}");
}
