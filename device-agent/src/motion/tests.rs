use super::*;
use crate::source::Scene;

const FRAME: Duration = Duration::from_millis(200);

fn sensitivity() -> Sensitivity {
    Sensitivity {
        threshold: 12,
        min_area: 0.0003,
        light_change: 0.5,
        adaptation: Duration::from_secs(10),
        ignored: Vec::new(),
    }
}

/// The picture as a camera gives it in poor light: each value up to `spread` off.
fn noisy(picture: &Picture, spread: u8, seed: u64) -> Picture {
    let mut picture = picture.clone();
    let mut state = seed;
    for value in picture.rgb_mut() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let off = (state >> 40) as u32 % (2 * u32::from(spread) + 1);
        *value = (u32::from(*value) + off)
            .saturating_sub(spread.into())
            .min(255) as u8;
    }
    picture
}

fn brighter(picture: &Picture, factor: f32) -> Picture {
    let mut picture = picture.clone();
    for value in picture.rgb_mut() {
        *value = (f32::from(*value) * factor) as u8;
    }
    picture
}

/// What a detector says to one picture after the other, a frame apart.
fn observe(
    detector: &mut MotionDetector,
    begin: Instant,
    pictures: impl IntoIterator<Item = Picture>,
) -> Vec<Motion> {
    (0..)
        .zip(pictures)
        .map(|(number, picture)| detector.observe(&picture, begin + FRAME * number))
        .collect()
}

#[test]
fn nothing_moves_in_a_still_scene_whatever_the_noise() {
    for seed in [1, 7, 42] {
        let (picture, _) = Scene::new(seed).at(Duration::from_secs(5));
        for spread in [0, 4, 16] {
            let mut detector = MotionDetector::new(sensitivity());
            let pictures = (0..50).map(|frame| noisy(&picture, spread, frame));
            let told = observe(&mut detector, Instant::now(), pictures);
            assert_eq!(told[0], Motion::Changed, "the first one");
            let moved = told[1..].iter().filter(|&motion| *motion != Motion::Still);
            assert_eq!(moved.count(), 0, "scene {seed}, noise {spread}");
        }
    }
}

#[test]
fn whoever_moves_is_in_a_box() {
    let (mut there, mut boxed, mut frames, mut moved) = (0, 0, 0, 0);
    for seed in [1, 7, 42] {
        let scene = Scene::new(seed);
        let mut detector = MotionDetector::new(sensitivity());
        let begin = Instant::now();
        for frame in 0..150 {
            let (picture, truths) = scene.at(FRAME * frame);
            let motion = detector.observe(&noisy(&picture, 4, frame.into()), begin + FRAME * frame);
            frames += 1;
            // It takes a moment until who stood in the first picture is told from the background.
            if frame < 25 {
                continue;
            }
            let Motion::Moved(boxes) = motion else {
                continue;
            };
            moved += 1;
            there += truths.len();
            boxed += truths
                .iter()
                .filter(|truth| boxes.iter().any(|found| covers(found, &truth.bounds)))
                .count();
        }
    }
    println!(
        "{boxed} of {there} actors are in a box of motion; motion in {moved} of {frames} frames"
    );
    assert!(there > 500, "{there}");
    assert!(boxed * 100 >= there * 95, "{boxed} of {there}");
}

/// Whether most of `truth` is in `found`.
fn covers(found: &PixelBox, truth: &PixelBox) -> bool {
    let shared = PixelBox {
        x1: found.x1.max(truth.x1),
        y1: found.y1.max(truth.y1),
        x2: found.x2.min(truth.x2),
        y2: found.y2.min(truth.y2),
    };
    shared.area() >= 0.5 * truth.area()
}

#[test]
fn other_light_is_no_motion() {
    let (picture, _) = Scene::new(7).at(Duration::from_secs(5));
    for factor in [0.3, 0.5, 1.5, 2.0] {
        let mut detector = MotionDetector::new(sensitivity());
        let before = (0..5).map(|frame| noisy(&picture, 4, frame));
        let after = brighter(&picture, factor);
        let after = (5..30).map(|frame| noisy(&after, 4, frame));
        let told = observe(&mut detector, Instant::now(), before.chain(after));
        assert_eq!(told[5], Motion::Changed, "factor {factor}");
        assert!(told[6..].iter().all(|motion| *motion == Motion::Still));
    }
}

#[test]
fn the_light_of_a_day_is_no_motion() {
    let (picture, _) = Scene::new(7).at(Duration::from_secs(5));
    let mut detector = MotionDetector::new(sensitivity());
    // Half as bright within five minutes, as under a cloud.
    let pictures = (0..1500_u16).map(|frame| brighter(&picture, 1.0 - f32::from(frame) / 3000.0));
    let told = observe(&mut detector, Instant::now(), pictures);
    assert!(told[1..].iter().all(|motion| *motion == Motion::Still));
}

#[test]
fn what_stays_becomes_background() {
    let scene = Scene::new(7);
    let mut detector = MotionDetector::new(sensitivity());
    let (before, _) = scene.at(Duration::from_secs(5));
    let (after, _) = scene.at(Duration::from_secs(9));
    let pictures = std::iter::once(before).chain(std::iter::repeat_n(after, 250));
    let told = observe(&mut detector, Instant::now(), pictures);
    assert!(matches!(told[1], Motion::Moved(_)), "{:?}", told[1]);
    let last = told
        .iter()
        .rposition(|motion| *motion != Motion::Still)
        .unwrap();
    assert!((25..200).contains(&last), "still after {last} frames");
}

#[test]
fn what_moves_under_a_mask_does_not_count() {
    let scene = Scene::new(7);
    let mask = |bottom: f64| {
        let corners = vec![[0.0, 0.0], [1.0, 0.0], [1.0, bottom], [0.0, bottom]];
        vec![Polygon::try_from(corners).unwrap()]
    };
    for (bottom, moves) in [(1.0, false), (0.45, true)] {
        let mut detector = MotionDetector::new(Sensitivity {
            ignored: mask(bottom),
            ..sensitivity()
        });
        let pictures = (0..50).map(|frame| scene.at(FRAME * frame).0);
        let told = observe(&mut detector, Instant::now(), pictures);
        let mut boxes = told.iter().filter_map(|motion| match motion {
            Motion::Moved(boxes) => Some(boxes),
            _ => None,
        });
        assert_eq!(boxes.clone().next().is_some(), moves, "{bottom}");
        let below = bottom as f32 * 320.0 - 3.0;
        assert!(boxes.all(|boxes| boxes.iter().all(|found| found.y1 >= below)));
    }
}

#[test]
fn another_size_begins_anew() {
    let mut detector = MotionDetector::new(sensitivity());
    let now = Instant::now();
    let grey =
        |side: u32| Picture::from_rgb(side, side, vec![9; (side * side * 3) as usize]).unwrap();
    for (side, expected) in [
        (320, Motion::Changed),
        (320, Motion::Still),
        (640, Motion::Changed),
        (640, Motion::Still),
        (1, Motion::Changed),
        (1, Motion::Still),
    ] {
        assert_eq!(detector.observe(&grey(side), now), expected, "{side}");
    }
}
