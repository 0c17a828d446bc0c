//! What is accepted after a resume on the ledger, before anybody here knows of it, is paid.

use std::collections::BTreeSet;
use std::ops::Range;

use ashya_protocol::FeedId;

use super::dice::Dice;
use super::history::{drain_all, numbers};
use super::viewer::{drain, watch};
use super::world::{ALICE, BOB, FEED, SECOND_FEED, START, World};
use crate::hub::Moment;
use crate::hub::tests::position;
use crate::socket::Viewer;

/// The clock stood still from second 10 to 25, which is known at 27. One event comes each second from 9 on; gives back
/// what is said before and after.
fn pause_known_late(world: &World, viewer: &mut Viewer) -> (Vec<String>, Vec<String>) {
    world.jump(9);
    world.publish("detections", 9);
    world.pause(START + 10);
    for second in 10..27 {
        world.jump(second);
        world.publish_held("detections", second);
    }
    let before = drain(viewer);
    // Not even looked at when the word comes.
    world.publish_held("detections", 27);
    world.resume(15);
    world.jump(28);
    world.publish("detections", 28);
    (before, drain(viewer))
}

#[tokio::test]
async fn it_comes_with_the_word_of_the_resume() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    let (before, after) = pause_known_late(&world, &mut alice);
    assert_eq!(before, ["watching", "paused"]);
    assert_eq!(after, ["resumed", "9", "25", "26", "27", "28"]);
}

#[tokio::test]
async fn it_comes_once_to_who_watches_two_feeds_of_the_device() {
    let world = World::start().await;
    for feed in [FEED, SECOND_FEED] {
        world.subscribe(feed, ALICE, START + 600);
    }
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    for feed in [FEED, SECOND_FEED] {
        watch(&mut alice, feed, None);
    }
    let (before, after) = pause_known_late(&world, &mut alice);
    let seen = (9..27).map(|second: u64| second.to_string());
    assert!(before.ends_with(&seen.collect::<Vec<_>>()), "{before:?}");
    assert_eq!(after, ["resumed", "27", "28"]);
}

#[tokio::test]
async fn it_comes_to_who_has_come_back_during_the_pause() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    world.publish("detections", 1);
    world.pause(START + 10);
    world.jump(10);
    world.publish_held("detections", 10);
    world.jump(20);
    world.publish_held("detections", 20);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, Some(position(3, 0)));
    assert_eq!(drain(&mut alice), ["watching", "paused"]);
    let mut bob = Viewer::new(world.parts.clone(), BOB);
    world.subscribe(FEED, BOB, START + 600);
    watch(&mut bob, FEED, Some(position(3, 0)));
    world.resume(5);
    assert_eq!(drain(&mut alice), ["resumed", "1", "20"]);
    assert_eq!(
        drain(&mut bob),
        ["watching", "paused", "resumed", "1", "20"]
    );
}

#[tokio::test]
async fn a_pause_that_never_was_takes_nothing() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.pause(START + 10);
    for second in 10..13 {
        world.jump(second);
        world.publish_held("detections", second);
    }
    assert_eq!(drain(&mut alice), ["watching", "paused"]);
    // A reorganisation has undone it.
    world.resume(0);
    assert_eq!(drain(&mut alice), ["resumed", "10", "11", "12"]);
}

/// A hundred events a second from a second on, while the clock stands still as far as is known.
fn leave_out(world: &World, viewer: &mut Viewer, numbers: Range<u64>, from: u64) {
    let first = numbers.start;
    for number in numbers {
        world.jump(from + (number - first) / 100);
        world.publish_held("detections", number);
        if number % 100 == 0 {
            drain(viewer);
        }
    }
}

#[tokio::test]
async fn it_comes_from_the_disk_where_memory_is_too_short() {
    let world = World::with_history().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.pause(START + 10);
    leave_out(&world, &mut alice, 0..3_000, 10);
    world.resume(10);
    let said = drain_all(&mut alice).await;
    assert_eq!(said[0], "resumed");
    assert_eq!(numbers(&said), (1_000..3_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told() {
    let world = World::start().await;
    world.subscribe(FEED, ALICE, START + 600);
    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.pause(START + 10);
    leave_out(&world, &mut alice, 0..3_000, 10);
    // 1,000 are kept, and all that were paid are among them.
    world.set_clock_of(FEED, None, 25);
    let said = drain(&mut alice);
    assert_eq!(said[0], "resumed");
    assert_eq!(
        said[1..],
        (2_500..3_000).map(|n| n.to_string()).collect::<Vec<_>>()
    );

    let mut alice = Viewer::new(world.parts.clone(), ALICE);
    watch(&mut alice, FEED, None);
    world.pause_after(START + 40, 25);
    leave_out(&world, &mut alice, 3_000..6_000, 40);
    // From 4,000 on they were paid.
    world.resume(35);
    let said = drain(&mut alice);
    assert_eq!(said[0], "resumed");
    assert!(said[1].contains("Gone"), "{}", said[1]);
    assert_eq!(numbers(&said), (5_000..6_000).collect::<Vec<_>>());
}

/// What the ledger says of one feed's clock, and how much of it is known.
#[derive(Default)]
struct Clock {
    /// From each second on: when its pause has begun, and the seconds of those before.
    said: Vec<(u64, Option<u64>, u64)>,
    known: usize,
}

impl Clock {
    /// Whether it ran at a second, by the first so many words.
    fn ran(&self, words: usize, second: u64) -> bool {
        let words = self.said[..words].iter();
        let last = words.take_while(|(at, _, _)| *at <= second).last();
        last.is_none_or(|(_, paused, _)| paused.is_none())
    }

    /// What an event is stamped with: the seconds of pauses while it runs.
    fn stamp(&self) -> Option<u64> {
        let last = self.said[..self.known].last();
        last.map_or(Some(0), |&(_, paused, total)| {
            paused.is_none().then_some(total)
        })
    }

    /// The ledger stops it or lets it run on.
    fn turn(&mut self, second: u64) {
        let last = self.said.last();
        let (paused, total) = last.map_or((None, 0), |&(_, paused, total)| (paused, total));
        let next = match paused {
            None => (second, Some(second), total),
            Some(since) => (second, None, total + second - since),
        };
        self.said.push(next);
    }

    /// Its words up to a second become known, each by itself or all at once.
    fn tell(&mut self, world: &World, feed: FeedId, until: u64) {
        while let Some(&(second, paused, total)) = self.said.get(self.known)
            && second <= until
        {
            world.set_clock_of(feed, paused.map(|since| START + since), total);
            self.known += 1;
        }
    }
}

#[tokio::test]
async fn a_watch_gets_all_that_was_paid_however_late_the_ledgers_words_come() {
    const FEEDS: [FeedId; 2] = [FEED, SECOND_FEED];
    for seed in 0..100 {
        let mut dice = Dice(seed);
        // One feed or two of one device; where it is one, memory may be too short.
        let feeds = &FEEDS[..1 + usize::from(seed % 2 == 1)];
        let world = if seed % 4 == 0 {
            World::with_history_and_memory_of(4).await
        } else {
            World::start().await
        };
        let mut alice = Viewer::new(world.parts.clone(), ALICE);
        for feed in feeds {
            world.subscribe(*feed, ALICE, START + 9_000);
            watch(&mut alice, *feed, None);
        }
        let mut clocks: Vec<_> = feeds.iter().map(|_| Clock::default()).collect();
        let (mut came_at, mut taken_to_run) = (Vec::new(), BTreeSet::new());
        let mut given = Vec::new();
        // Gives out what it may, and nothing that is not paid by what is known.
        let mut give =
            |said: &[String], clocks: &[Clock], came_at: &[u64], taken_to_run: &BTreeSet<u64>| {
                for number in numbers(said) {
                    let at = came_at[number as usize];
                    let is_paid = clocks.iter().any(|clock| clock.ran(clock.known, at));
                    assert!(
                        is_paid || taken_to_run.contains(&number),
                        "seed {seed}: {number} was not paid"
                    );
                    given.push(number);
                }
            };
        for second in 1..300 {
            world.jump(second);
            for clock in &mut clocks {
                if dice.roll(9) == 0 {
                    clock.turn(second);
                }
            }
            for _ in 0..dice.roll(3) {
                let mut moment = Moment {
                    at: START + second,
                    ..Moment::default()
                };
                let number = came_at.len() as u64;
                for (feed, clock) in feeds.iter().zip(&clocks) {
                    match clock.stamp() {
                        Some(total) => moment.feed_times.push((*feed, second - total)),
                        None => moment.paused.push(*feed),
                    }
                }
                if !moment.feed_times.is_empty() {
                    taken_to_run.insert(number);
                }
                world.publish_with("detections", number, 10, moment);
                came_at.push(second);
            }
            if dice.roll(2) == 0 {
                let said = drain_all(&mut alice).await;
                give(&said, &clocks, &came_at, &taken_to_run);
            }
            for (feed, clock) in feeds.iter().zip(&mut clocks) {
                let delay = dice.roll(6);
                clock.tell(&world, *feed, second.saturating_sub(delay));
            }
        }
        for (feed, clock) in feeds.iter().zip(&mut clocks) {
            if !clock.ran(clock.said.len(), 300) {
                clock.turn(300);
            }
            clock.tell(&world, *feed, 300);
        }
        world.jump(300);
        let said = drain_all(&mut alice).await;
        give(&said, &clocks, &came_at, &taken_to_run);
        let once: BTreeSet<_> = given.iter().copied().collect();
        assert_eq!(once.len(), given.len(), "seed {seed}: some came twice");
        assert!(
            feeds.len() > 1 || given.is_sorted(),
            "seed {seed}: {given:?}"
        );
        let paid = |second| clocks.iter().any(|clock| clock.ran(clock.known, second));
        let lost = came_at
            .iter()
            .zip(0..)
            .filter(|&(&second, number)| paid(second) && !once.contains(&number));
        let lost: Vec<_> = lost.collect();
        assert!(lost.is_empty(), "seed {seed}: never came: {lost:?}");
    }
}
