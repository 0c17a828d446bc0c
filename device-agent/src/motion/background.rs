use std::time::Duration;

use crate::motion::grey::Grey;

/// Fractional bits of a background pixel, so that it can follow slowly.
const BITS: u32 = 8;
/// Fractional bits of how far it follows.
const WEIGHT_BITS: u32 = 12;
/// Half a step, so that it is rounded and not cut: cut steps would all go down.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// What the scene looks like when nothing moves: a running average of small grey pictures.
#[derive(Debug)]
pub(super) struct Background {
    pixels: Vec<u16>,
    /// 1 for each pixel that differs from it, in the picture that was compared last.
    changed: Vec<u8>,
}

impl Background {
    pub(super) fn of(grey: &Grey) -> Self {
        let pixels = grey.pixels().iter().map(|&pixel| fixed(pixel)).collect();
        Self {
            pixels,
            changed: vec![0; grey.pixels().len()],
        }
    }

    /// Which pixels differ by more than `threshold`, and how many, of those that count (1 rather than 0).
    pub(super) fn changed(&mut self, grey: &Grey, threshold: u8, counts: &[u8]) -> (&[u8], usize) {
        let threshold = fixed(threshold);
        let pixels = self.pixels.iter().zip(grey.pixels()).zip(counts);
        for (changed, ((&usual, &now), &counts)) in self.changed.iter_mut().zip(pixels) {
            *changed = u8::from(usual.abs_diff(fixed(now)) > threshold) & counts;
        }
        let count = self.changed.iter().map(|&changed| usize::from(changed));
        let count = count.sum();
        (&self.changed, count)
    }

    /// Moves towards a picture: 63 % of the way within the `adaptation` time.
    pub(super) fn follow(&mut self, grey: &Grey, elapsed: Duration, adaptation: Duration) {
        let ratio = elapsed.as_secs_f64() / adaptation.as_secs_f64().max(1e-3);
        let weight = (1.0 - (-ratio).exp()) * f64::from(1 << WEIGHT_BITS);
        // At least one step, or a fast camera would have no background.
        let weight = (weight.round() as i32).max(1);
        for (usual, &now) in self.pixels.iter_mut().zip(grey.pixels()) {
            let away = i32::from(fixed(now)) - i32::from(*usual);
            *usual = (i32::from(*usual) + ((away * weight + HALF) >> WEIGHT_BITS)) as u16;
        }
    }
}

fn fixed(pixel: u8) -> u16 {
    u16::from(pixel) << BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(pixel: u8) -> Grey {
        Grey::new(2, 1, vec![pixel, 100])
    }

    #[test]
    fn a_change_counts_beyond_the_threshold_where_it_is_not_ignored() {
        let mut background = Background::of(&grey(100));
        for (pixel, threshold, counts, expected) in [
            (100, 0, [1, 1], 0),
            (120, 20, [1, 1], 0),
            (121, 20, [1, 1], 1),
            (79, 20, [1, 1], 1),
            (0, 20, [0, 1], 0),
            (255, 254, [1, 1], 0),
        ] {
            let (changed, count) = background.changed(&grey(pixel), threshold, &counts);
            assert_eq!((changed[0], count), (expected as u8, expected), "{pixel}");
        }
    }

    #[test]
    fn the_background_follows_in_its_time_at_any_rate() {
        let adaptation = Duration::from_secs(10);
        for frames in [10, 50, 250, 600] {
            let mut background = Background::of(&grey(0));
            for _ in 0..frames {
                background.follow(&grey(200), adaptation / frames, adaptation);
            }
            let level = f64::from(background.pixels[0]) / 256.0;
            assert!((level - 126.4).abs() < 6.0, "{frames} frames: {level}");
            assert_eq!(background.pixels[1], 100 << BITS);
        }
    }
}
