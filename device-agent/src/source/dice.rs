use crate::source::paint::Rgb;

/// A stream of numbers that is the same for a seed in every version and on every machine (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice for a thing that is known by some numbers.
    pub(super) fn of(numbers: &[u64]) -> Self {
        let mut dice = Self(0x5eed);
        for &number in numbers {
            dice.0 ^= number;
            dice.0 = dice.roll();
        }
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.roll() >> 40) as f32 / (1 << 24) as f32
    }

    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.between(0.0, 1.0) < share
    }

    /// One of several; the slice must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.roll() % choices.len() as u64) as usize]
    }

    /// Each part in `low..high`.
    pub(super) fn colour(&mut self, low: f32, high: f32) -> Rgb {
        std::array::from_fn(|_| self.between(low, high) as u8)
    }

    /// A colour like another one.
    pub(super) fn near(&mut self, colour: Rgb, spread: f32) -> Rgb {
        colour.map(|value| (f32::from(value) + self.between(-spread, spread)) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_same_everywhere_and_always() {
        let mut dice = Dice::of(&[7, 1]);
        let rolls: Vec<u64> = (0..3).map(|_| dice.roll() >> 32).collect();
        assert_eq!(rolls, [3_100_579_922, 2_202_708_285, 3_502_705_013]);
        for _ in 0..1000 {
            assert!((2.0..3.0).contains(&dice.between(2.0, 3.0)));
        }
    }
}
