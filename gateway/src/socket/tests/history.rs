//! The past on disk: what a viewer gets of it, and how it comes to the present.

use std::collections::BTreeSet;
use std::time::Duration;

use ashya_protocol::ws::ServerMessage;
use futures_util::FutureExt;
use tokio::time::timeout;

use super::dice::Dice;
use super::viewer::{drain, watch};
use super::world::{ALICE, BOB, FEED, OWNER, PATIENCE, SECOND_FEED, START, World};
use super::{seq, streams};
use crate::hub::tests::{device_key, position};
use crate::retention::Prune;
use crate::socket::Viewer;

/// More than memory keeps of a stream.
const MANY: u64 = 3_000;

/// All that a viewer says until it has come to the present.
pub(super) async fn drain_all(viewer: &mut Viewer) -> Vec<String> {
    let mut said = drain(viewer);
    while viewer.is_catching_up() {
        timeout(PATIENCE, viewer.turn()).await.expect("no page");
        said.extend(drain(viewer));
    }
    said
}

pub(super) fn numbers(said: &[String]) -> Vec<u64> {
    said.iter().filter_map(|word| word.parse().ok()).collect()
}

/// What a wallet gets that asks for everything since the first event.
async fn replayed(world: &World, wallet: ashya_protocol::Address) -> Vec<String> {
    let mut viewer = Viewer::new(world.parts.clone(), wallet);
    watch(&mut viewer, FEED, Some(position(2, 0)));
    let mut said = drain_all(&mut viewer).await;
    said.retain(|word| word != "watching");
    said
}

#[tokio::test]
async fn who_comes_back_late_gets_all_of_it_and_joins_the_present() {
    let world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    let mut alice = world.sign_in(ALICE).await;
    alice.watch_since(FEED, position(3, 41)).await;
    assert_eq!(streams(&alice.message().await), ["detections"]);
    for expected in 42..MANY {
        // The camera goes on meanwhile.
        if expected % 10 == 0 {
            world.publish("detections", MANY + expected / 10 - 5);
        }
        assert_eq!(seq(&alice.hear().await), expected);
    }
    let last = MANY + (MANY - 10) / 10 - 5;
    for expected in MANY..=last {
        assert_eq!(seq(&alice.hear().await), expected);
    }
    alice.is_silent().await;
    world.publish("detections", last + 1);
    assert_eq!(seq(&alice.hear().await), last + 1);
}

#[tokio::test]
async fn the_past_survives_a_restart_and_what_is_pruned_is_gone() {
    let mut world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..50 {
        world.publish("detections", number);
    }
    world.jump(1_200);
    world.subscribe_from(FEED, ALICE, START + 1_200, START + 1_800);
    for number in 50..60 {
        world.publish("detections", number);
    }
    world.forget_memory().await;
    assert_eq!(
        numbers(&replayed(&world, ALICE).await),
        (0..60).collect::<Vec<_>>()
    );
    let trees = world.positions.store().history.clone();
    while trees
        .prune(Prune::cutoff(START + 600, Duration::ZERO), u64::MAX)
        .unwrap()
        .is_some()
    {}
    let said = replayed(&world, ALICE).await;
    assert_eq!(numbers(&said), (50..60).collect::<Vec<_>>());
    assert!(
        said[0].contains("Gone") && said[0].contains("Seq(0), to: Seq(49)"),
        "{}",
        said[0]
    );
    while trees.prune(u64::MAX, 0).unwrap().is_some() {}
    let said = replayed(&world, ALICE).await;
    assert!(
        said.len() == 1 && said[0].contains("Seq(0), to: Seq(59)"),
        "{said:?}"
    );
    // Whoever is up to date misses nothing, and what comes then is told as ever.
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 59)));
    world.publish("detections", 60);
    assert_eq!(drain_all(&mut alice).await, ["watching", "60"]);
}

#[tokio::test]
async fn nothing_waits_for_a_client_that_does_not_read() {
    let world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    drain(&mut alice);
    timeout(PATIENCE, alice.turn()).await.expect("no page");
    // A page is there, and nothing else comes before it is taken; the present does not pile up either.
    for number in MANY..MANY + 2_000 {
        world.publish("detections", number);
    }
    let more = timeout(Duration::from_millis(200), async {
        while !alice.is_caught_up() {
            alice.turn().await;
        }
    });
    assert!(more.await.is_err());
    let page = drain(&mut alice);
    assert!((1..=256).contains(&page.len()), "{}", page.len());
    let mut all = numbers(&page);
    all.extend(numbers(&drain_all(&mut alice).await));
    assert_eq!(all, (1..MANY + 2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_newer_question_takes_the_place_of_an_older_one() {
    let world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    for after in [0, 500, 1_000] {
        watch(&mut alice, FEED, Some(position(3, after)));
        drain(&mut alice);
        timeout(PATIENCE, alice.turn()).await.expect("no page");
    }
    let said = drain_all(&mut alice).await;
    assert_eq!(numbers(&said), (1_001..MANY).collect::<Vec<_>>());
    // Whoever leaves in the middle gets nothing more.
    watch(&mut alice, FEED, Some(position(3, 0)));
    drain(&mut alice);
    timeout(PATIENCE, alice.turn()).await.expect("no page");
    drain(&mut alice);
    alice.unwatch(FEED);
    assert!(numbers(&drain_all(&mut alice).await).is_empty());
}

#[tokio::test]
async fn a_watch_that_begins_while_a_page_is_read_counts_for_it() {
    let world = World::with_history().await;
    world.subscribe(SECOND_FEED, ALICE, START + MANY + 600);
    world.subscribe_from(FEED, ALICE, START + 100, START + MANY + 600);
    for number in 0..MANY {
        world.jump(number);
        world.publish("detections", number);
    }
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    drain(&mut alice);
    // Asks for the page.
    assert!(alice.turn().now_or_never().is_none());
    watch(&mut alice, SECOND_FEED, None);
    let said = drain_all(&mut alice).await;
    assert_eq!(numbers(&said), (1..MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_pause_holds_the_past_back_too() {
    let mut world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    world.forget_memory().await;
    // Behind all events, however slow the machine was.
    world.pause(world.parts.clock.now_seconds() + 1);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    assert_eq!(drain(&mut alice), ["watching", "paused"]);
    let turn = timeout(Duration::from_millis(200), alice.turn());
    assert!(turn.await.is_err(), "it reads what it may not tell");
    world.resume(10);
    let said = drain_all(&mut alice).await;
    assert_eq!(said[0], "resumed");
    assert_eq!(numbers(&said), (1..MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_end_of_access_ends_the_past() {
    let mut world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    world.forget_memory().await;
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    drain(&mut alice);
    timeout(PATIENCE, alice.turn()).await.expect("no page");
    world.cancel(FEED, ALICE);
    let said = drain_all(&mut alice).await;
    assert!(numbers(&said).is_empty(), "{said:?}");
    assert_eq!(said, ["cancelled"]);
}

#[tokio::test]
async fn a_pause_that_becomes_known_late_was_not_paid() {
    for from_disk in [false, true] {
        let mut world = World::with_history().await;
        world.subscribe(FEED, ALICE, START + 600);
        for second in 0..30 {
            world.jump(second);
            world.publish("detections", second);
        }
        // The node was gone meanwhile: the clock had stood still since second 10, until second 20.
        world.pause(START + 10);
        world.resume(10);
        if from_disk {
            world.forget_memory().await;
        }
        let numbers = numbers(&replayed(&world, ALICE).await);
        assert_eq!(
            numbers,
            (0..10).chain(20..30).collect::<Vec<_>>(),
            "{from_disk}"
        );
        assert_eq!(replayed(&world, OWNER).await.len(), 30);
        assert!(numbers.len() == 20);
    }
}

#[tokio::test]
async fn buy_a_minute_ask_for_a_day_get_a_minute() {
    let mut world = World::with_history().await;
    for minute in 0..24 * 60 {
        world.jump(minute * 60);
        if minute == 700 {
            // Bob's time is not Alice's, nor is that of another feed.
            world.subscribe_from(FEED, BOB, START + 42_000, START + 80_000);
            world.subscribe_from(SECOND_FEED, ALICE, START + 42_000, START + 80_000);
        }
        world.publish("detections", minute);
    }
    world.jump(86_400);
    world.subscribe_from(FEED, ALICE, START + 86_400, START + 86_460);
    world.publish("detections", 1_440);
    let in_memory = replayed(&world, ALICE).await;
    world.forget_memory().await;
    let on_disk = replayed(&world, ALICE).await;
    assert_eq!(numbers(&in_memory), [1_440]);
    assert_eq!(numbers(&on_disk), [1_440]);
}

/// What the ledger would say, second by second.
#[derive(Default)]
struct Naive {
    paused: Option<u64>,
    paused_total: u64,
    feed_time: u64,
    until: u64,
    start: u64,
}

#[tokio::test]
async fn a_replay_equals_what_a_naive_model_has_paid() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut world = World::with_history().await;
        let (mut model, mut paid) = (Naive::default(), BTreeSet::new());
        let mut number = 0;
        for second in 0..400 {
            world.jump(second);
            match (dice.roll(12), model.paused) {
                (0, None) => {
                    model.paused = Some(second);
                    world.pause_after(START + second, model.paused_total);
                }
                (0 | 1, Some(since)) => {
                    model.paused_total += second - since;
                    model.paused = None;
                    world.resume(model.paused_total);
                }
                (2, None) if model.feed_time >= model.until => {
                    model.start = model.feed_time;
                    model.until = model.start + 5 + dice.roll(40);
                    let (from, until) = (START + model.start, START + model.until);
                    world.subscribe_from(FEED, ALICE, from, until);
                }
                (3, _) if model.feed_time < model.until => {
                    model.until = model.feed_time;
                    let (from, until) = (START + model.start, START + model.until);
                    world.subscribe_from(FEED, ALICE, from, until);
                }
                _ => {}
            }
            for _ in 0..dice.roll(3) {
                // Whoever stamps it knows of a pause or not: what the ledger says counts.
                world.publish("detections", number);
                let live = model.start <= model.feed_time && model.feed_time < model.until;
                if model.paused.is_none() && live {
                    paid.insert(number);
                }
                number += 1;
            }
            model.feed_time += u64::from(model.paused.is_none());
        }
        if let Some(since) = model.paused {
            world.resume(model.paused_total + 400 - since);
        }
        // Somebody else's purchase opens the door, and adds nothing to what is asked of the past.
        world.jump(400);
        let now = model.feed_time;
        if now >= model.until {
            world.subscribe_from(FEED, ALICE, START + now, START + now + 600);
        }
        let paid: Vec<u64> = paid.into_iter().collect();
        let in_memory = numbers(&replayed(&world, ALICE).await);
        world.forget_memory().await;
        let on_disk = numbers(&replayed(&world, ALICE).await);
        assert_eq!(on_disk, paid, "seed {seed}");
        // Memory never gives more; where a stamp was early it may give less.
        assert!(
            in_memory.iter().all(|number| paid.contains(number)),
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn an_event_stream_takes_up_where_it_was_left() {
    let world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    for number in 0..MANY {
        world.publish("detections", number);
    }
    let device = device_key().device_id();
    let id = |number| format!("{device},detections:3:{number},frames:0:0");
    let had = format!("{device},detections:3:2000");
    let text = world
        .event_stream_after(ALICE, FEED, &had, &id(MANY - 1))
        .await;
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<_> = ids.map(str::to_owned).collect();
    // The first says where each stream begins.
    let expected = (2_000..MANY).map(id);
    assert_eq!(ids, expected.collect::<Vec<_>>());
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events =
        data.filter(|json| matches!(serde_json::from_str(json), Ok(ServerMessage::Event(_))));
    assert_eq!(events.count() as u64, MANY - 2_001);
}
