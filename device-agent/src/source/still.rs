use std::time::Duration;

use crate::picture::Picture;
use crate::source::dice::Dice;
use crate::source::scene::Scene;
use crate::source::{Frame, FrameSource, SourceError};

/// The moment of the scene that lasts: somebody is always about.
const MOMENT: Duration = Duration::from_secs(5);
/// How far a value is off at most, in levels of 255: a camera's noise on a dull day.
const NOISE: u8 = 5;
/// How many ways there are to lay the noise over a picture; a prime, so that its rows never line up.
const SHIFTS: usize = 4_093;

/// A scene in which nothing moves, as a camera sees it: the same moment for ever, with noise that never repeats itself
/// from one frame to the next.
pub struct StillSource {
    picture: Picture,
    seed: u64,
    count: u32,
    dice: Dice,
    /// More of it than a picture has values, so that each frame takes another part.
    noise: Vec<i8>,
}

impl StillSource {
    /// The scene of a seed, at rest.
    pub fn new(seed: u64) -> Self {
        let (mut picture, _) = Scene::new(seed).at(MOMENT);
        for value in picture.rgb_mut() {
            // Room for the noise at both ends.
            *value = (*value).clamp(NOISE, u8::MAX - NOISE);
        }
        let noise = f32::from(NOISE);
        let mut dice = Dice::of(&[seed, u64::MAX]);
        let values = picture.rgb().len() + SHIFTS;
        let noise = (0..values).map(|_| dice.between(-noise, noise).round() as i8);
        Self {
            noise: noise.collect(),
            picture,
            seed,
            count: 0,
            dice,
        }
    }
}

impl FrameSource for StillSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let shift = self.dice.between(0.0, SHIFTS as f32) as usize;
        let mut picture = self.picture.clone();
        let values = picture.rgb_mut().iter_mut();
        for (value, off) in values.zip(&self.noise[shift.min(SHIFTS - 1)..]) {
            *value = value.wrapping_add_signed(*off);
        }
        self.count += 1;
        Ok(Some(Frame {
            name: format!("still-{}-{:06}.jpg", self.seed, self.count),
            picture,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_but_the_noise() {
        let (still, _) = Scene::new(7).at(MOMENT);
        let mut source = StillSource::new(7);
        let mut next = || source.next_frame().unwrap().unwrap().picture;
        let (one, other) = (next(), next());
        assert!(one != other, "noise is new each time");
        for (value, expected) in one.rgb().iter().zip(still.rgb()) {
            assert!(value.abs_diff(*expected) <= 2 * NOISE);
        }
    }
}
