use super::*;

const CLASS: u32 = 0;

fn tracker() -> Tracker {
    Tracker::new(TrackerOptions::for_score(0.4)).unwrap()
}

/// A box of 40 x 80 pixels at `x`.
fn at(x: f32, score: f32) -> Candidate {
    of(CLASS, x, score)
}

fn of(class: u32, x: f32, score: f32) -> Candidate {
    Candidate {
        bounds: PixelBox::around(x, 100.0, 40.0, 80.0),
        score,
        class,
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn ids(update: &Update) -> Vec<u64> {
    update.seen.iter().map(|tracked| tracked.id.get()).collect()
}

/// Runs frames 200 ms apart and returns the numbers in each.
fn run(tracker: &mut Tracker, frames: &[Vec<Candidate>]) -> Vec<Vec<u64>> {
    let start = tracker.now;
    (1..)
        .zip(frames)
        .map(|(frame, candidates)| ids(&tracker.update(start + millis(200 * frame), candidates)))
        .collect()
}

#[test]
fn an_object_is_confirmed_by_its_third_frame_and_keeps_its_number() {
    let frames: Vec<_> = (0..6_u8)
        .map(|frame| vec![at(50.0 + 10.0 * f32::from(frame), 0.8)])
        .collect();
    let mut tracker = tracker();
    assert_eq!(
        run(&mut tracker, &frames),
        [vec![], vec![], vec![1], vec![1], vec![1], vec![1]]
    );
    let update = tracker.update(millis(1400), &[at(110.0, 0.8)]);
    assert_eq!(update.seen[0].age, millis(1200), "since its first frame");
}

#[test]
fn ghosts_and_what_is_too_unsure_to_begin_get_no_number() {
    for frames in [
        // Two frames, then nothing.
        vec![
            vec![at(50.0, 0.9)],
            vec![at(50.0, 0.9)],
            vec![],
            vec![at(50.0, 0.9)],
        ],
        // Sure enough to go on, not to begin.
        vec![vec![at(50.0, 0.45)]; 6],
        vec![vec![at(50.0, 0.2)]; 6],
        // Elsewhere every time.
        (0..6_u8)
            .map(|frame| vec![at(100.0 * f32::from(frame), 0.9)])
            .collect(),
        // No box at all.
        vec![
            vec![Candidate {
                bounds: PixelBox::around(50.0, 50.0, 0.0, 40.0),
                score: 0.9,
                class: 0
            }];
            6
        ],
    ] {
        let mut tracker = tracker();
        assert!(run(&mut tracker, &frames).concat().is_empty(), "{frames:?}");
        assert_eq!(tracker.last_id, 0);
    }
}

#[test]
fn unsure_boxes_carry_on_what_is_known() {
    let mut frames = vec![vec![at(50.0, 0.8)]; 3];
    frames.extend(vec![vec![at(50.0, 0.25)]; 20]);
    frames.push(vec![at(50.0, 0.8)]);
    let numbers = run(&mut tracker(), &frames);
    assert!(numbers[2..].iter().all(|ids| ids == &[1]), "{numbers:?}");
    // Without the second association it is lost and begins anew.
    let mut only_sure = Tracker::new(TrackerOptions {
        unsure: 0.4,
        ..TrackerOptions::for_score(0.4)
    })
    .unwrap();
    frames.extend(vec![vec![at(50.0, 0.8)]; 3]);
    let numbers = run(&mut only_sure, &frames);
    assert_eq!(numbers.last(), Some(&vec![2]), "{numbers:?}");
}

#[test]
fn an_object_that_passes_behind_another_keeps_its_number_and_course() {
    let step = |frame: u8| 50.0 + 12.0 * f32::from(frame);
    let mut frames: Vec<_> = (0..6).map(|frame| vec![at(step(frame), 0.9)]).collect();
    // Hidden for 1.2 s: it comes out 84 pixels on, where it does not overlap where it was last seen.
    frames.extend(vec![vec![]; 6]);
    frames.extend((12..15).map(|frame| vec![at(step(frame), 0.9)]));
    let numbers = run(&mut tracker(), &frames);
    assert_eq!(numbers[12..], [vec![1], vec![1], vec![1]]);
}

#[test]
fn what_is_hidden_too_long_is_gone_once_and_its_number_is_not_used_again() {
    let mut tracker = tracker();
    run(&mut tracker, &vec![vec![at(50.0, 0.9)]; 3]);
    let mut gone = Vec::new();
    for frame in 4..=25 {
        gone.extend(
            tracker
                .update(millis(200 * frame), &[])
                .gone
                .into_iter()
                .map(|id| (frame, id.get())),
        );
    }
    // Seen last at 0.6 s; 3 s later is the 18th frame, which is the last chance.
    assert_eq!(gone, [(19, 1)]);
    let numbers = run(&mut tracker, &vec![vec![at(50.0, 0.9)]; 3]);
    assert_eq!(numbers[2], [2]);
    // A source that was away for an hour: whoever stands there now may be somebody else.
    let update = tracker.update(Duration::from_secs(3600), &[at(50.0, 0.9)]);
    assert_eq!((ids(&update), update.gone.len()), (vec![], 1));
}

#[test]
fn classes_never_mix() {
    let mut frames = vec![vec![of(0, 50.0, 0.9), of(1, 52.0, 0.8)]; 3];
    frames.push(vec![of(1, 50.0, 0.9)]);
    frames.push(vec![of(0, 50.0, 0.9)]);
    let numbers = run(&mut tracker(), &frames);
    assert_eq!(numbers[2..], [vec![1, 2], vec![2], vec![1]]);
}

#[test]
fn a_class_may_have_a_score_of_its_own() {
    let mut tracker = tracker().with_scores([(1, 0.7)]);
    let frames = vec![vec![of(0, 50.0, 0.6), of(1, 50.0, 0.6), of(1, 200.0, 0.85)]; 4];
    run(&mut tracker, &frames);
    let update = tracker.update(millis(1000), &frames[0]);
    let candidates: Vec<usize> = update
        .seen
        .iter()
        .map(|tracked| tracked.candidate)
        .collect();
    assert_eq!(candidates, [0, 2]);
}

#[test]
fn two_who_meet_and_part_keep_their_numbers() {
    // One from the left at 20 pixels a frame, one from the right; they cross in the middle.
    let frames: Vec<_> = (0..14_u8)
        .map(|frame| {
            let way = 20.0 * f32::from(frame);
            vec![at(50.0 + way, 0.9), at(310.0 - way, 0.85)]
        })
        .collect();
    let mut tracker = tracker();
    for (frame, candidates) in (1..).zip(&frames) {
        let update = tracker.update(millis(200 * frame), candidates);
        for tracked in update.seen {
            let expected = if tracked.candidate == 0 { 1 } else { 2 };
            assert_eq!(tracked.id.get(), expected, "in frame {frame}");
        }
    }
    assert_eq!(tracker.last_id, 2);
}

#[test]
fn dropped_frames_and_an_irregular_clock_change_no_numbers() {
    let mut tracker = tracker();
    let mut now = 0;
    for step in [100, 100, 100, 100, 500, 100, 900, 100, 300, 0, 700, 100] {
        now += step;
        // 60 pixels a second: more than its width in the longest gap.
        let update = tracker.update(millis(now), &[at(now as f32 * 0.06, 0.9)]);
        if now > 300 {
            assert_eq!(ids(&update), [1], "at {now} ms");
        }
    }
    // A clock that goes back stands still.
    let update = tracker.update(millis(now - 500), &[at(now as f32 * 0.06, 0.9)]);
    assert_eq!(ids(&update), [1]);
}

#[test]
fn what_rests_unwatched_is_still_there_and_what_was_hidden_ends() {
    let mut tracker = tracker();
    run(&mut tracker, &vec![vec![at(50.0, 0.9), at(200.0, 0.9)]; 4]);
    // The second has just left.
    run(&mut tracker, &[vec![at(50.0, 0.9)]]);
    let mut gone = Vec::new();
    for second in 2..100 {
        let ended = tracker.rest(Duration::from_secs(second));
        gone.extend(ended.into_iter().map(|id| (second, id.get())));
    }
    assert_eq!(gone, [(4, 2)], "seen last at 0.8 s");
    let update = tracker.update(Duration::from_secs(100), &[at(50.0, 0.9)]);
    assert_eq!((ids(&update), update.gone), (vec![1], vec![]));
    assert_eq!(tracker.reset(), [TrackId(1)]);
    assert_eq!(tracker.reset(), []);
}

#[test]
fn a_hidden_object_under_a_younger_one_is_told_once() {
    let mut tracker = Tracker::new(TrackerOptions {
        min_hits: 1,
        ..TrackerOptions::for_score(0.4)
    })
    .unwrap();
    assert_eq!(
        ids(&tracker.update(millis(0), &[at(50.0, 0.9), at(120.0, 0.9)])),
        [1, 2]
    );
    // The second is hidden, the first comes to stand where it was, and for a moment either may be the one that is seen.
    let mut gone = Vec::new();
    let mut last = Update::default();
    for frame in 1..=9_u8 {
        let x = (50.0 + 12.0 * f32::from(frame)).min(120.0);
        last = tracker.update(millis(200 * u64::from(frame)), &[at(x, 0.9)]);
        gone.append(&mut last.gone);
    }
    assert_eq!(gone, [TrackId(2)], "sooner than 2 s after it was hidden");
    assert_eq!(ids(&last), [1]);
}
