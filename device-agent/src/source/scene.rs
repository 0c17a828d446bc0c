use std::time::Duration;

use crate::detect::PixelBox;
use crate::picture::Picture;
use crate::source::backdrop::backdrop;
use crate::source::dice::Dice;
use crate::source::paint::{Sheet, bounds_of};
use crate::source::street::{Kind, Pose};
use crate::source::{Frame, FrameSource, Playback, SourceError};

/// Width and height of a scene in pixels: the input size of the default model.
const SIDE: u32 = 320;
/// Time between two frames of a scene that is not played live.
const DEFAULT_INTERVAL: Duration = Duration::from_millis(200);
/// Least visible share of an actor that still counts as there.
const MIN_VISIBLE: f32 = 0.3;
/// Least width and height in pixels of an actor that counts as there.
const MIN_SIZE: (f32, f32) = (4.0, 6.0);

/// A generated street with people and traffic; every moment of it follows from the seed alone.
pub struct Scene {
    seed: u64,
    horizon: f32,
    empty_street: Sheet,
}

/// What is truly in a frame of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Which of all that ever pass through the scene it is.
    pub identity: u64,
    /// The name of its class, as the default model has it.
    pub label: &'static str,
    /// The smallest box around it, parts hidden behind others included.
    pub bounds: PixelBox,
}

/// A scene as a source of frames.
pub struct SceneSource {
    scene: Scene,
    seed: u64,
    interval: Duration,
    count: u32,
}

/// A path across the street that actors follow one after the other.
struct Lane {
    /// Distance from the horizon (0) to the lower edge (1).
    depth: f32,
    /// 1 for rightward, -1 for leftward.
    facing: f32,
    /// Widths of the picture per second.
    speed: f32,
    /// Widths of the picture from one actor to the next.
    gap: f32,
    kinds: &'static [Kind],
}

/// Far things first, so that near ones are drawn over them.
const LANES: [Lane; 5] = [
    Lane {
        depth: 0.04,
        facing: 1.0,
        speed: 0.05,
        gap: 0.55,
        kinds: &[Kind::Person, Kind::Person, Kind::Person, Kind::Dog],
    },
    Lane {
        depth: 0.17,
        facing: -1.0,
        speed: 0.15,
        gap: 1.05,
        kinds: &[Kind::Car, Kind::Bus, Kind::Truck, Kind::Car],
    },
    Lane {
        depth: 0.42,
        facing: 1.0,
        speed: 0.13,
        gap: 1.0,
        kinds: &[Kind::Car, Kind::Bicycle, Kind::Car],
    },
    Lane {
        depth: 0.52,
        facing: 1.0,
        speed: 0.09,
        gap: 1.7,
        kinds: &[Kind::Bicycle],
    },
    Lane {
        depth: 0.74,
        facing: -1.0,
        speed: 0.07,
        gap: 0.75,
        kinds: &[Kind::Person, Kind::Person, Kind::Dog],
    },
];

impl Scene {
    /// The scene of a seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed]);
        let side = SIDE as f32;
        let horizon = (side * dice.between(0.32, 0.40)).round();
        let mut empty_street = Sheet::new(SIDE);
        backdrop(&mut empty_street, &mut dice, side, horizon);
        Self {
            seed,
            horizon,
            empty_street,
        }
    }

    /// What the scene looks like some time after its beginning, and what is in it, nearest first.
    pub fn at(&self, time: Duration) -> (Picture, Vec<Truth>) {
        let mut canvas = Sheet::new(SIDE);
        canvas.copy_from(&self.empty_street);
        let mut layer = Sheet::new(SIDE);
        let mut drawn = Vec::new();
        for (number, lane) in (1..).zip(&LANES) {
            for (actor, kind, pose, mut dice) in self.actors(number, lane, time.as_secs_f32()) {
                canvas.shade(pose.feet, (pose.height * 0.35, pose.height * 0.04), 0.5);
                layer.clear();
                kind.draw(&mut layer, &mut dice, pose);
                canvas.lay(&layer);
                drawn.push((actor * LANES.len() as u64 + number, kind, layer.covered()));
            }
        }
        (canvas.to_picture(), truths(drawn))
    }

    /// Who is on a lane now: actor `n` passes the left or right edge at its own time and for ever keeps its looks.
    fn actors(&self, number: u64, lane: &Lane, time: f32) -> Vec<(u64, Kind, Pose, Dice)> {
        let side = SIDE as f32;
        let mut dice = Dice::of(&[self.seed, number]);
        let speed = lane.speed * dice.between(0.85, 1.15);
        let travelled = time * speed / lane.gap + dice.between(0.0, 1.0) + 2.0;
        let depth = lane.depth;
        let ground = self.horizon + 6.0 + (side - self.horizon - 6.0) * (depth * 0.98 + 0.02);
        // Room for the longest actor beyond both edges, in widths of the picture.
        let margin = 0.5;
        let newest = travelled.floor() as u64;
        let mut actors = Vec::new();
        for actor in newest.saturating_sub(4)..=newest {
            let along = (travelled - actor as f32) * lane.gap - margin;
            if along > 1.0 + margin {
                continue;
            }
            let mut dice = Dice::of(&[self.seed, number, actor]);
            let kind = dice.pick(lane.kinds);
            let height = side * (0.07 + 0.36 * depth) * kind.stature() * dice.between(0.95, 1.1);
            let along = if lane.facing > 0.0 {
                along
            } else {
                1.0 - along
            };
            let step = (time * speed + dice.between(0.0, 1.0)) * side / (height * 0.4);
            let feet = (along * side, ground + dice.between(-2.0, 2.0));
            actors.push((
                actor,
                kind,
                Pose {
                    feet,
                    height,
                    facing: lane.facing,
                    step,
                },
                dice,
            ));
        }
        actors
    }
}

impl SceneSource {
    /// A scene that goes on for ever.
    pub fn new(seed: u64, playback: Playback) -> Self {
        let interval = match playback {
            Playback::Once => DEFAULT_INTERVAL,
            Playback::Live(interval) => interval,
        };
        Self {
            scene: Scene::new(seed),
            seed,
            interval,
            count: 0,
        }
    }
}

impl FrameSource for SceneSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let (picture, _) = self.scene.at(self.interval * self.count);
        self.count += 1;
        Ok(Some(Frame {
            name: format!("scene-{}-{:06}.jpg", self.seed, self.count),
            picture,
        }))
    }
}

/// Boxes of what was drawn, in the order of drawing; what is hidden behind later things or tiny does not count.
fn truths(drawn: Vec<(u64, Kind, Vec<bool>)>) -> Vec<Truth> {
    let mut hidden = vec![false; (SIDE * SIDE) as usize];
    let mut truths = Vec::new();
    for (identity, kind, covered) in drawn.into_iter().rev() {
        let total = covered.iter().filter(|&&covered| covered).count();
        let visible = covered
            .iter()
            .zip(&hidden)
            .filter(|(covered, hidden)| **covered && !**hidden)
            .count();
        for (hidden, covered) in hidden.iter_mut().zip(&covered) {
            *hidden |= covered;
        }
        let Some(bounds) = bounds_of(&covered, SIDE) else {
            continue;
        };
        let large = bounds.x2 - bounds.x1 >= MIN_SIZE.0 && bounds.y2 - bounds.y1 >= MIN_SIZE.1;
        if large && visible as f32 >= MIN_VISIBLE * total as f32 {
            truths.push(Truth {
                identity,
                label: kind.label(),
                bounds,
            });
        }
    }
    truths
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_scene_follows_from_its_seed() {
        let moment = Duration::from_millis(3400);
        assert_eq!(Scene::new(7).at(moment), Scene::new(7).at(moment));
        assert_ne!(Scene::new(7).at(moment).0, Scene::new(8).at(moment).0);
        assert_ne!(Scene::new(7).at(moment).0, Scene::new(7).at(moment * 2).0);
    }

    #[test]
    fn an_identity_is_one_walker_s_for_ever() {
        let scene = Scene::new(5);
        let mut last: BTreeMap<u64, Truth> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for frame in 0..75 {
            let (_, truths) = scene.at(Duration::from_millis(200) * frame);
            let now: BTreeMap<u64, Truth> = truths
                .into_iter()
                .map(|truth| (truth.identity, truth))
                .collect();
            for (identity, truth) in &now {
                if let Some(before) = last.get(identity) {
                    assert_eq!(truth.label, before.label);
                    let moved = (truth.bounds.x1 - before.bounds.x1).abs();
                    assert!(moved < 32.0, "{identity} jumped {moved} pixels");
                }
                seen.insert(*identity);
            }
            last = now;
        }
        assert!(seen.len() > 6, "{} in 15 s", seen.len());
    }

    #[test]
    fn everybody_comes_by_and_moves_steadily() {
        let scene = Scene::new(3);
        let mut seen = BTreeSet::new();
        let mut boxes = 0;
        for second in 0..90 {
            let (_, truths) = scene.at(Duration::from_secs(second));
            boxes += truths.len();
            seen.extend(truths.iter().map(|truth| truth.label));
            for Truth { bounds, .. } in truths {
                assert!(bounds.x1 >= 0.0 && bounds.x2 <= 320.0 && bounds.area() > 0.0);
            }
        }
        assert_eq!(seen.len(), 6, "{seen:?}");
        assert!(boxes > 2 * 90, "{boxes} boxes in 90 frames");
    }
}
