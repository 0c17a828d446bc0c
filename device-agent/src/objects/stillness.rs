use std::time::Duration;

use crate::detect::PixelBox;

/// Overlap with where it came to rest that an object keeps while it stands still; a detector's boxes of it shake a little.
const STILL: f32 = 0.75;

/// Since when an object has stood still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stillness {
    anchor: PixelBox,
    since: Duration,
}

impl Stillness {
    pub(super) const fn begin(bounds: PixelBox, time: Duration) -> Self {
        Self {
            anchor: bounds,
            since: time,
        }
    }

    /// Takes where the object is now and returns for how long it has stood there.
    pub(super) fn step(&mut self, bounds: &PixelBox, time: Duration) -> Duration {
        if self.anchor.overlap(bounds) < STILL {
            *self = Self::begin(*bounds, time);
        }
        time.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_moves_is_not_still() {
        // Pixels that a box of 100 x 100 is moved by each second, and for how long it has stood still then.
        for (moves, expected) in [
            (vec![0.0; 4], vec![1, 2, 3, 4]),
            (vec![3.0, -3.0, 2.0, -2.0], vec![1, 2, 3, 4]),
            (vec![50.0; 4], vec![0; 4]),
            // Slow, but it goes away: 16 pixels are an overlap of 0.72.
            (vec![8.0; 5], vec![1, 0, 1, 0, 1]),
            (vec![40.0, 0.0, 0.0], vec![0, 1, 2]),
        ] {
            let mut x = 200.0;
            let mut stillness =
                Stillness::begin(PixelBox::around(x, 100.0, 100.0, 100.0), Duration::ZERO);
            let found: Vec<u64> = (1..)
                .zip(&moves)
                .map(|(second, by)| {
                    x += by;
                    let bounds = PixelBox::around(x, 100.0, 100.0, 100.0);
                    stillness
                        .step(&bounds, Duration::from_secs(second))
                        .as_secs()
                })
                .collect();
            assert_eq!(found, expected, "{moves:?}");
        }
    }
}
