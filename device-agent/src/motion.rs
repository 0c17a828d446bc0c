//! Where something moves: each picture, small and grey, against a running average of those before it.
//!
//! ```text
//!  picture ─shrink─► 160 pixels wide, grey ─threshold─► changed pixels ─blobs─► boxes
//!                          │                   ▲
//!                          └──────► background ┘  follows slowly
//! ```
//!
//! It costs a small part of what a model costs, so that a still scene can go without one.

use std::time::{Duration, Instant};

use tiny_skia::Mask;

use crate::detect::PixelBox;
use crate::picture::Picture;
use crate::polygon::Polygon;

mod background;
mod blobs;
mod grey;

use self::background::Background;
use self::blobs::blobs;
use self::grey::{Grey, Shrink};

/// What counts as motion.
#[derive(Debug, Clone)]
pub(crate) struct Sensitivity {
    /// How much a pixel must differ from the background, in levels of grey (0 to 255).
    pub(crate) threshold: u8,
    /// Least share of the picture that must change together.
    pub(crate) min_area: f32,
    /// Share of the picture that changes only with the light or the camera itself.
    pub(crate) light_change: f32,
    /// How long it takes for most of a change to become background.
    pub(crate) adaptation: Duration,
    /// Where motion does not count, such as a road, trees, or a clock that the camera draws.
    pub(crate) ignored: Vec<Polygon>,
}

/// What a picture tells against those before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Motion {
    /// Nothing moves.
    Still,
    /// Something moves, here, in pixels of the picture; the largest first.
    Moved(Vec<PixelBox>),
    /// There is nothing to compare with: the first picture, another size, other light, or a camera that was turned.
    Changed,
}

/// Compares pictures with a background that it learns.
#[derive(Debug)]
pub(crate) struct MotionDetector {
    sensitivity: Sensitivity,
    seen: Option<Seen>,
}

/// What is kept for pictures of one size.
#[derive(Debug)]
struct Seen {
    shrink: Shrink,
    background: Background,
    /// 1 for each small pixel that counts, 0 for one that is ignored.
    counts: Vec<u8>,
    /// How many count.
    counted: usize,
    at: Instant,
}

impl MotionDetector {
    pub(crate) const fn new(sensitivity: Sensitivity) -> Self {
        Self {
            sensitivity,
            seen: None,
        }
    }

    /// Compares a picture that was taken `at` a moment with the background, and lets the background follow it.
    pub(crate) fn observe(&mut self, picture: &Picture, at: Instant) -> Motion {
        let size = (picture.width(), picture.height());
        let Some(seen) = self
            .seen
            .as_mut()
            .filter(|seen| seen.shrink.picture() == size)
        else {
            self.seen = Some(Seen::first(picture, &self.sensitivity, at));
            return Motion::Changed;
        };
        let Sensitivity {
            threshold,
            min_area,
            light_change,
            adaptation,
            ..
        } = self.sensitivity;
        let grey = seen.shrink.shrink(picture);
        let (changed, count) = seen.background.changed(grey, threshold, &seen.counts);
        let share = |of: f32| of * seen.counted as f32;
        if count as f32 > share(light_change) {
            seen.background = Background::of(grey);
            seen.at = at;
            return Motion::Changed;
        }
        let elapsed = at.saturating_duration_since(seen.at);
        seen.at = at;
        // Few changed pixels are noise; they need not be looked at one by one.
        let least = share(min_area).max(1.0) as usize;
        let boxes = if count < least {
            Vec::new()
        } else {
            blobs(changed, grey.size(), least)
        };
        seen.background.follow(grey, elapsed, adaptation);
        if boxes.is_empty() {
            return Motion::Still;
        }
        Motion::Moved(boxes.iter().map(|blob| seen.shrink.enlarge(blob)).collect())
    }
}

impl Seen {
    fn first(picture: &Picture, sensitivity: &Sensitivity, at: Instant) -> Self {
        let mut shrink = Shrink::of(picture.width(), picture.height());
        let background = Background::of(shrink.shrink(picture));
        let counts = counting(&sensitivity.ignored, shrink.grey());
        Self {
            counted: counts.iter().map(|&counts| usize::from(counts)).sum(),
            shrink,
            background,
            counts,
            at,
        }
    }
}

/// Which small pixels count: those of which no polygon covers a half.
fn counting(ignored: &[Polygon], grey: &Grey) -> Vec<u8> {
    let (width, height) = grey.size();
    let all = vec![1; width * height];
    let Some(mut mask) = Mask::new(width as u32, height as u32) else {
        return all;
    };
    for polygon in ignored {
        polygon.draw(&mut mask, 0.0);
    }
    let covered = mask.data().iter();
    covered.map(|&covered| u8::from(covered < 128)).collect()
}

#[cfg(test)]
mod tests;
