use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::detect::{Confidence, Detector, ModelOptions};
use crate::runtime::tests::runtime;
use crate::source::Scene;

const INPUT: Size = Size {
    width: 320,
    height: 320,
};
const HD: Size = Size {
    width: 1920,
    height: 1080,
};
/// What the model of the tests needs of an object in its input, in pixels.
const VISIBLE: f32 = 12.0;

fn regions() -> Option<RegionsConfig> {
    Some(RegionsConfig {
        limit: NonZeroUsize::new(4).unwrap(),
        whole: Duration::from_secs(5),
    })
}

fn bounds([x1, y1, x2, y2]: [f32; 4]) -> PixelBox {
    PixelBox { x1, y1, x2, y2 }
}

/// A picture whose pixels tell where they are.
fn map() -> Picture {
    let pixel = |x: u32, y: u32| [(x / 8) as u8, (y / 8) as u8, ((x % 8) * 8 + y % 8) as u8];
    let rgb = (0..HD.height).flat_map(|y| (0..HD.width).flat_map(move |x| pixel(x, y)));
    Picture::from_rgb(HD.width, HD.height, rgb.collect()).unwrap()
}

/// A model that sees the parts of objects that are in a part of the map, but nothing that is small in its input.
fn sees(objects: &[[f32; 4]], part: &Picture) -> Vec<Candidate> {
    let [high_x, high_y, low] = [part.rgb()[0], part.rgb()[1], part.rgb()[2]];
    let (left, top) = (
        f32::from(high_x) * 8.0 + f32::from(low / 8),
        f32::from(high_y) * 8.0 + f32::from(low % 8),
    );
    let (width, height) = (part.width() as f32, part.height() as f32);
    let gain = 320.0 / width.max(height);
    let seen = objects.iter().map(|&[x1, y1, x2, y2]| PixelBox {
        x1: (x1 - left).max(0.0),
        y1: (y1 - top).max(0.0),
        x2: (x2 - left).min(width),
        y2: (y2 - top).min(height),
    });
    let large = |side: f32| side * gain >= VISIBLE;
    seen.filter(|seen| large(seen.x2 - seen.x1) && large(seen.y2 - seen.y1))
        .map(|bounds| Candidate {
            bounds,
            score: 0.8,
            class: 0,
        })
        .collect()
}

/// Looks at a map of objects; gives what was found and how often the model ran.
fn look(
    search: &mut Search,
    objects: &[[f32; 4]],
    motion: &Motion,
    glance: Glance,
) -> (Vec<[f32; 4]>, usize) {
    let mut runs = 0;
    let found = search
        .look(&map(), (motion, glance), INPUT, |part| {
            runs += 1;
            Ok::<_, Infallible>(sees(objects, part))
        })
        .unwrap();
    let corners = |object: &Candidate| {
        let PixelBox { x1, y1, x2, y2 } = object.bounds;
        [x1, y1, x2, y2]
    };
    (found.iter().map(corners).collect(), runs)
}

#[test]
fn what_is_small_is_found_where_it_moves() {
    let walker = [1500.0, 700.0, 1520.0, 760.0];
    let moved = Motion::Moved(vec![bounds([1496.0, 696.0, 1525.0, 765.0])]);
    for (regions, glance, found, runs) in [
        (None, Glance::Whole, vec![], 1),
        (regions(), Glance::Parts, vec![walker], 1),
        (regions(), Glance::Whole, vec![walker], 2),
    ] {
        let mut search = Search::new(regions);
        assert_eq!(look(&mut search, &[walker], &moved, glance), (found, runs));
    }
}

#[test]
fn who_stands_stays_while_others_move() {
    let (standing, walker) = ([100.0, 100.0, 120.0, 160.0], [1500.0, 700.0, 1520.0, 760.0]);
    let moved = |corners| Motion::Moved(vec![bounds(corners)]);
    let mut search = Search::new(regions());
    // Both are found where they move; then only one does, and the other stands.
    let (found, _) = look(&mut search, &[standing], &moved(standing), Glance::Parts);
    assert_eq!(found, [standing]);
    let both = [standing, walker];
    let (found, runs) = look(&mut search, &both, &moved(walker), Glance::Parts);
    assert_eq!((found.len(), runs), (2, 1));
    // A whole look asks of both, which the model would not see in the whole picture.
    let (found, runs) = look(&mut search, &both, &moved(walker), Glance::Whole);
    assert_eq!((found.len(), runs), (2, 3));
    // Who is gone is not told again: a look tells where something moved, a whole look everywhere.
    let (found, _) = look(&mut search, &[standing], &moved(walker), Glance::Parts);
    assert_eq!(found, [standing]);
    let (found, _) = look(&mut search, &[], &Motion::Still, Glance::Whole);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn who_is_cut_is_looked_at_again() {
    // A bus moves, but only its front differs from the background.
    let bus = [600.0, 400.0, 1000.0, 560.0];
    let front = Motion::Moved(vec![bounds([960.0, 420.0, 1000.0, 540.0])]);
    let mut search = Search::new(regions());
    let (found, runs) = look(&mut search, &[bus], &front, Glance::Parts);
    assert_eq!((found.len(), runs), (1, 2));
    let overlap = bounds(found[0]).overlap(&bounds(bus));
    assert!(overlap > 0.8, "{found:?}: {overlap}");
}

#[test]
fn the_eye_lingers_where_something_moved() {
    let walker = [1500.0, 700.0, 1520.0, 760.0];
    let mut search = Search::new(regions());
    look(
        &mut search,
        &[walker],
        &Motion::Moved(vec![bounds(walker)]),
        Glance::Parts,
    );
    let (found, runs) = look(&mut search, &[], &Motion::Still, Glance::Parts);
    assert_eq!((found, runs), (vec![], 1));
}

/// The street in a corner of a camera's picture, as far away as a model of 320 pixels must lose it.
fn street_far_away(scene: &Scene, time: Duration) -> (Picture, Vec<PixelBox>) {
    let (left, top) = (1_200_usize, 500_usize);
    let (street, truths) = scene.at(time);
    let mut rgb = [120, 125, 120].repeat((HD.width * HD.height) as usize);
    for (row, pixels) in street.rgb().chunks_exact(320 * 3).enumerate() {
        let start = ((top + row) * HD.width as usize + left) * 3;
        rgb[start..start + pixels.len()].copy_from_slice(pixels);
    }
    let (left, top) = (left as f32, top as f32);
    let there = truths.iter().map(|truth| PixelBox {
        x1: truth.bounds.x1 + left,
        y1: truth.bounds.y1 + top,
        x2: truth.bounds.x2 + left,
        y2: truth.bounds.y2 + top,
    });
    let there = there.collect();
    (Picture::from_rgb(HD.width, HD.height, rgb).unwrap(), there)
}

#[test]
fn the_default_model_finds_in_regions_what_it_misses_in_the_whole() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/street_tiny_320.onnx");
    let mut detector = Detector::load(runtime(), &ModelOptions::new(model)).unwrap();
    let scene = Scene::new(7);
    let (mut truly, mut by_region, mut by_whole) = (0, 0, 0);
    let mut whole = Search::new(None);
    for second in 0..10 {
        let (picture, there) = street_far_away(&scene, Duration::from_secs(second));
        let moved = Motion::Moved(there.clone());
        let mut found = |search: &mut Search, glance| {
            let input = detector.input();
            let objects = search.look(&picture, (&moved, glance), input, |part| {
                detector.detect(part, Confidence::DEFAULT, Overlap::CALM)
            });
            let objects = objects.unwrap();
            let hit = |truth: &&PixelBox| objects.iter().any(|o| o.bounds.overlap(truth) >= 0.5);
            there.iter().filter(hit).count()
        };
        truly += there.len();
        by_region += found(&mut Search::new(regions()), Glance::Parts);
        by_whole += found(&mut whole, Glance::Whole);
    }
    println!("of {truly} objects {by_region} by regions, {by_whole} in the whole picture");
    assert!(truly > 20, "{truly} objects are too few to say anything");
    assert!(by_region * 10 >= truly * 7, "{by_region} of {truly}");
    assert!(by_whole * 10 <= truly, "{by_whole} of {truly}");
}
