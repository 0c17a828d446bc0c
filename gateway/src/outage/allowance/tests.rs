use super::*;
use crate::defaults::{OUTAGE_MAX_FEE_GWEI, OUTAGE_MILLIETHER_PER_DAY, OUTAGE_PAUSES_PER_FEED};

const GWEI: u128 = 1_000_000_000;
/// The most that a pause costs with its resume, at a wei for a unit of gas.
const PAIR: u128 = 2 * MOST_GAS;

/// At most a wei for a unit of gas, and so many pauses a day.
fn limits(per_day: u128, pauses_per_feed: u32) -> Limits {
    Limits {
        max_fee: Wei::new(1),
        per_day: Wei::new(per_day * PAIR),
        pauses_per_feed,
    }
}

fn defaults() -> Limits {
    Limits {
        max_fee: Wei::new(u128::from(OUTAGE_MAX_FEE_GWEI) * GWEI),
        per_day: Wei::new(u128::from(OUTAGE_MILLIETHER_PER_DAY) * GWEI * 1_000_000),
        pauses_per_feed: OUTAGE_PAUSES_PER_FEED,
    }
}

fn feed(number: u8) -> FeedId {
    FeedId::new([number; 32])
}

#[test]
fn a_day_has_room_for_so_many_pauses_and_every_resume() {
    let start = Instant::now();
    let mut allowance = Allowance::new(limits(3, 2), start);
    let (one, two) = (feed(1), feed(2));
    let day = DAY.as_secs();
    for (feed, step, second, expected) in [
        (one, Step::Pause, 0, Ok(())),
        (one, Step::Resume, 1, Ok(())),
        (one, Step::Pause, 2, Ok(())),
        (one, Step::Resume, 3, Ok(())),
        (one, Step::Pause, 4, Err(Spent::Feed)),
        (two, Step::Pause, 5, Ok(())),
        (two, Step::Resume, 6, Ok(())),
        (two, Step::Pause, 7, Err(Spent::Day)),
        // Such as of a pause before this run.
        (two, Step::Resume, 8, Ok(())),
        (two, Step::Pause, day - 1, Err(Spent::Day)),
        (two, Step::Pause, day, Ok(())),
        (one, Step::Pause, day, Ok(())),
    ] {
        let now = start + Duration::from_secs(second);
        let held = allowance.take(feed, step, now);
        // What it has cost is not known.
        let outcome = held.map(|held| allowance.settle(held, None));
        assert_eq!(outcome, expected, "{step:?} at {second}");
    }
}

#[test]
fn a_restart_begins_no_new_day() {
    let (start, unix) = (Instant::now() + DAY, 1_700_000_000);
    let feeds = [1, 2, 3].map(feed);
    let mut allowance = Allowance::new(limits(2, 1), start);
    let held = allowance.take(feeds[0], Step::Pause, start).unwrap();
    allowance.settle(held, None);
    for (hours, spent) in [(1, Some(PAIR)), (23, Some(PAIR)), (24, None), (100, None)] {
        let after = Duration::from_secs(hours * 3600);
        let kept = serde_json::to_vec(&allowance.kept(start, unix)).unwrap();
        let kept = serde_json::from_slice(&kept).unwrap();
        let (now, unix) = (start + after, unix + after.as_secs());
        let mut later = Allowance::go_on(limits(2, 1), kept, now, unix);
        assert_eq!(later.spent(), spent.unwrap_or(0), "{hours}");
        let again = later.take(feeds[0], Step::Pause, now);
        assert_eq!(again.is_err(), spent.is_some(), "{hours}");
        // The day ends when it would have ended.
        let tomorrow = start + DAY;
        assert!(spent.is_none() || later.take(feeds[0], Step::Pause, tomorrow).is_ok());
    }
    // The clock was set back meanwhile: the day is not shorter for it.
    let kept = allowance.kept(start, unix);
    let later = Allowance::go_on(limits(2, 1), kept, start, unix - 10_000);
    assert_eq!(later.spent(), PAIR);
}

#[test]
fn what_was_never_sent_uses_up_nothing() {
    let start = Instant::now();
    let mut allowance = Allowance::new(limits(2, 1), start);
    let (one, two, three) = (feed(1), feed(2), feed(3));
    for _ in 0..9 {
        let held = allowance.take(one, Step::Pause, start).unwrap();
        allowance.give_back(held);
    }
    assert_eq!(allowance.spent, 0);
    let sent = allowance.take(one, Step::Pause, start).unwrap();
    allowance.settle(sent, None);
    // A resume stays paid for, however often it is tried.
    for _ in 0..9 {
        let resume = allowance.take(one, Step::Resume, start).unwrap();
        allowance.give_back(resume);
        assert_eq!(allowance.spent, PAIR);
    }
    let again = allowance.take(one, Step::Pause, start);
    assert_eq!(again.unwrap_err(), Spent::Feed);
    let yesterday = allowance.take(two, Step::Pause, start).unwrap();

    // The new day lent its own, whatever comes back of the old.
    let tomorrow = start + DAY;
    assert!(allowance.take(two, Step::Pause, tomorrow).is_ok());
    allowance.give_back(yesterday);
    assert_eq!(allowance.spent, PAIR);
    let again = allowance.take(two, Step::Pause, tomorrow);
    assert_eq!(again.unwrap_err(), Spent::Feed);
    assert!(allowance.take(one, Step::Pause, tomorrow).is_ok());
    let more = allowance.take(three, Step::Pause, tomorrow);
    assert_eq!(more.unwrap_err(), Spent::Day);
}

#[test]
fn a_step_counts_as_what_it_has_cost() {
    let start = Instant::now();
    let mut allowance = Allowance::new(limits(9, 9), start);
    let one = feed(1);
    let fee = Some(Wei::new(7));
    for (step, expected) in [
        // What its resume may cost stays set aside.
        (Step::Pause, MOST_GAS + 7),
        (Step::Resume, 14),
        // A resume counts though nothing was set aside for it.
        (Step::Resume, 21),
        (Step::Pause, MOST_GAS + 28),
        // Somebody else has lifted the pause.
        (Step::Pause, MOST_GAS + 35),
    ] {
        let held = allowance.take(one, step, start).unwrap();
        allowance.settle(held, fee);
        assert_eq!(allowance.spent, expected, "{step:?}");
    }
    allowance.keep_resumes(|feed| feed == one);
    assert_eq!(allowance.spent, MOST_GAS + 35);
    allowance.keep_resumes(|_| false);
    assert_eq!(allowance.spent, 35);

    // What a pause of yesterday has set aside pays for its resume of today.
    let held = allowance.take(one, Step::Pause, start).unwrap();
    allowance.settle(held, fee);
    let tomorrow = start + DAY;
    let resume = allowance.take(one, Step::Resume, tomorrow).unwrap();
    allowance.settle(resume, fee);
    assert_eq!(allowance.spent, 0);
}

/// A power cut: each look begins what it may, and then all of it is mined.
#[test]
fn twenty_cameras_that_fail_at_once_are_all_paused_and_resumed() {
    let start = Instant::now();
    let mut allowance = Allowance::new(defaults(), start);
    // At a gwei for a unit of gas.
    let fee = Wei::new(45_000 * GWEI);
    let mut running: Vec<_> = (0..20).map(feed).collect();
    let mut looks = 0;
    while !running.is_empty() {
        let mut under_way = Vec::new();
        running.retain(|feed| match allowance.take(*feed, Step::Pause, start) {
            Ok(held) => {
                under_way.push(held);
                false
            }
            Err(_) => true,
        });
        for held in under_way {
            allowance.settle(held, Some(fee));
        }
        looks += 1;
        assert!(looks < 9, "{} cameras are left", running.len());
    }
    for number in 0..20 {
        let held = allowance.take(feed(number), Step::Resume, start).unwrap();
        allowance.settle(held, Some(fee));
    }
    assert_eq!(allowance.spent, 40 * fee.get());
}

#[test]
fn a_feed_that_flaps_leaves_most_of_the_day_to_the_others() {
    let limits = defaults();
    let mut allowance = Allowance::new(limits, Instant::now());
    while let Ok(held) = allowance.take(feed(1), Step::Pause, allowance.began) {
        allowance.settle(held, None);
        let held = allowance.take(feed(1), Step::Resume, allowance.began);
        allowance.settle(held.unwrap(), None);
    }
    let (spent, per_day) = (allowance.spent, limits.per_day.get());
    assert!(spent > 0 && spent <= per_day / 4, "{spent} of {per_day}");
}
