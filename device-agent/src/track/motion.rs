use std::time::Duration;

use crate::detect::PixelBox;

/// The step that the reference's noise is meant for: a frame of a film of 30 frames a second.
const STEP: f64 = 1.0 / 30.0;
/// Standard deviation of a position, in heights of the object (DeepSORT, ByteTrack).
const POSITION: f64 = 1.0 / 20.0;
/// Standard deviation that a velocity gains in a step, in heights a step.
const VELOCITY: f64 = 1.0 / 160.0;
/// Standard deviation of a measured aspect ratio.
const ASPECT_MEASURED: f64 = 0.1;
/// Standard deviation that the aspect ratio gains in a step, and that of its first value.
const ASPECT: f64 = 1e-2;
/// Standard deviation that the change of the aspect ratio gains in a step, and that of its first value.
const ASPECT_RATE: f64 = 1e-5;
/// How much less is known of a first position than of a later one.
const FIRST_POSITION: f64 = 2.0;
/// How much less is known of a first velocity.
const FIRST_VELOCITY: f64 = 10.0;
/// Least height in pixels and least aspect ratio that a prediction may shrink to.
const LEAST: (f64, f64) = (1.0, 0.01);

/// Where an object is and how it moves: a Kalman filter over centre, aspect ratio and height, each with its velocity
/// (SORT, Bewley et al. 2016; noise as in DeepSORT, Wojke et al. 2017).
///
/// No noise ties one of the four to another, so four filters of two numbers each do what one of eight would. The
/// velocity is a Wiener process in continuous time: two predictions over half the time are one over all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Motion {
    x: Axis,
    y: Axis,
    aspect: Axis,
    height: Axis,
}

/// A value and its change per step, with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    value: f64,
    rate: f64,
    /// Variance of the value, covariance of value and rate, variance of the rate.
    variance: [f64; 3],
}

impl Motion {
    /// An object that was just seen for the first time, in a box that is not empty.
    pub(super) fn begin(bounds: &PixelBox) -> Self {
        let [x, y, aspect, height] = measured(bounds);
        let deviation = [
            FIRST_POSITION * POSITION * height,
            FIRST_VELOCITY * VELOCITY * height,
        ];
        Self {
            x: Axis::begin(x, deviation),
            y: Axis::begin(y, deviation),
            aspect: Axis::begin(aspect, [ASPECT, ASPECT_RATE]),
            height: Axis::begin(height, deviation),
        }
    }

    /// Moves the object on by some time.
    pub(super) fn predict(&mut self, time: Duration) {
        let steps = time.as_secs_f64() / STEP;
        let height = self.height.value;
        let noise = [POSITION * height, VELOCITY * height];
        self.x.predict(steps, noise);
        self.y.predict(steps, noise);
        self.aspect.predict(steps, [ASPECT, ASPECT_RATE]);
        self.height.predict(steps, noise);
        self.height.value = self.height.value.max(LEAST.0);
        self.aspect.value = self.aspect.value.max(LEAST.1);
    }

    /// Corrects the prediction by the box in which the object was found.
    pub(super) fn correct(&mut self, bounds: &PixelBox) {
        let [x, y, aspect, height] = measured(bounds);
        let deviation = POSITION * self.height.value;
        self.x.correct(x, deviation);
        self.y.correct(y, deviation);
        self.aspect.correct(aspect, ASPECT_MEASURED);
        self.height.correct(height, deviation);
    }

    /// The object is hidden: what it was growing by is not trusted any further.
    pub(super) const fn stop_growing(&mut self) {
        self.height.rate = 0.0;
    }

    /// The object stands still.
    pub(super) const fn stop(&mut self) {
        self.x.rate = 0.0;
        self.y.rate = 0.0;
        self.aspect.rate = 0.0;
        self.height.rate = 0.0;
    }

    /// The box around the object.
    pub(super) fn bounds(&self) -> PixelBox {
        let height = self.height.value;
        PixelBox::around(
            self.x.value as f32,
            self.y.value as f32,
            (self.aspect.value * height) as f32,
            height as f32,
        )
    }
}

impl Axis {
    fn begin(value: f64, deviation: [f64; 2]) -> Self {
        let [value_deviation, rate_deviation] = deviation;
        Self {
            value,
            rate: 0.0,
            variance: [value_deviation.powi(2), 0.0, rate_deviation.powi(2)],
        }
    }

    /// `noise`: standard deviations that value and rate gain in a step.
    fn predict(&mut self, steps: f64, noise: [f64; 2]) {
        let [of_value, of_rate] = noise.map(|deviation| deviation.powi(2));
        let [value, both, rate] = self.variance;
        self.value += steps * self.rate;
        self.variance = [
            value
                + 2.0 * steps * both
                + steps.powi(2) * rate
                + steps * of_value
                + steps.powi(3) / 3.0 * of_rate,
            both + steps * rate + steps.powi(2) / 2.0 * of_rate,
            rate + steps * of_rate,
        ];
    }

    fn correct(&mut self, measured: f64, deviation: f64) {
        let [value, both, rate] = self.variance;
        let uncertain = value + deviation.powi(2);
        let gain = [value / uncertain, both / uncertain];
        let surprise = measured - self.value;
        self.value += gain[0] * surprise;
        self.rate += gain[1] * surprise;
        self.variance = [
            value - gain[0] * value,
            both - gain[0] * both,
            rate - gain[1] * both,
        ];
    }
}

/// Centre across and down, width over height, height.
fn measured(bounds: &PixelBox) -> [f64; 4] {
    let [x1, y1, x2, y2] = [bounds.x1, bounds.y1, bounds.x2, bounds.y2].map(f64::from);
    let height = y2 - y1;
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0, (x2 - x1) / height, height]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_nanos(33_333_333);

    fn square(x: f32, y: f32, side: f32) -> PixelBox {
        PixelBox::around(x, y, side, side)
    }

    /// Value, rate and covariance of centre across and down, aspect ratio and height.
    const REFERENCE_VALUES: [(f64, f64, [f64; 3]); 4] = [
        (135.912_308, 2.862_238, [12.241_730, 1.475_306, 2.795_690]),
        (48.029_231, -0.954_079, [12.241_730, 1.475_306, 2.795_690]),
        (0.5, 0.0, [8.729_195e-4, 5.691_598e-9, 1.299_989e-9]),
        (85.985_385, 0.477_040, [12.241_730, 1.475_306, 2.795_690]),
    ];

    fn close(a: f64, b: f64, share: f64) -> bool {
        (a - b).abs() <= share * a.abs().max(b.abs()).max(1e-9)
    }

    /// Numbers of ByteTrack's `KalmanFilter` (NumPy), which predicts one frame at a time: boxes of height 80 and aspect
    /// 0.5 whose centre moves by (3, -1), grows by 0.5, and is measured in every frame but the fifth to the seventh.
    #[test]
    fn at_thirty_frames_a_second_it_is_the_reference() {
        let mut motion = Motion::begin(&PixelBox::around(100.0, 60.0, 40.0, 80.0));
        for frame in 1..=12_u8 {
            motion.predict(FRAME);
            if !(5..=7).contains(&frame) {
                let at = f32::from(frame);
                let height = 80.0 + 0.5 * at;
                let bounds = PixelBox::around(100.0 + 3.0 * at, 60.0 - at, 0.5 * height, height);
                motion.correct(&bounds);
            }
        }
        let values = REFERENCE_VALUES;
        let found = [motion.x, motion.y, motion.aspect, motion.height];
        for (axis, (value, rate, variance)) in found.iter().zip(values) {
            assert!(close(axis.value, value, 1e-3), "{axis:?}, expected {value}");
            assert!(close(axis.rate, rate, 0.02), "{axis:?}, expected {rate}");
            // The reference lets a velocity's noise move the object a frame later.
            for (found, expected) in axis.variance.iter().zip(variance) {
                assert!(
                    close(*found, expected, 0.1),
                    "{axis:?}, expected {variance:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_step_is_as_two_short_ones() {
        let mut once = Motion::begin(&square(50.0, 50.0, 20.0));
        once.predict(Duration::from_millis(200));
        once.correct(&square(58.0, 47.0, 20.0));
        let mut twice = once;
        once.predict(Duration::from_millis(1000));
        twice.predict(Duration::from_millis(300));
        twice.predict(Duration::from_millis(700));
        for (a, b) in [(once.x, twice.x), (once.aspect, twice.aspect)] {
            assert!(close(a.value, b.value, 1e-9) && close(a.rate, b.rate, 1e-9));
            for (a, b) in a.variance.iter().zip(b.variance) {
                assert!(close(*a, b, 1e-9), "{a} and {b}");
            }
        }
    }

    #[test]
    fn it_learns_a_velocity_at_any_rate_and_through_dropped_frames() {
        for times in [
            vec![200; 12],
            vec![1000; 12],
            vec![33; 40],
            vec![40, 400, 40, 40, 240, 120, 40, 600, 40, 80, 200, 40, 40, 200],
        ] {
            let mut motion = Motion::begin(&square(0.0, 100.0, 50.0));
            let mut now = 0;
            for time in &times {
                now += time;
                motion.predict(Duration::from_millis(*time));
                // 40 pixels a second.
                motion.correct(&square(now as f32 * 0.04, 100.0, 50.0));
            }
            motion.predict(Duration::from_millis(500));
            let expected = (now + 500) as f32 * 0.04;
            let bounds = motion.bounds();
            let found = (bounds.x1 + bounds.x2) / 2.0;
            assert!(
                (found - expected).abs() < 2.0,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn a_box_never_turns_inside_out() {
        let mut motion = Motion::begin(&square(50.0, 50.0, 40.0));
        for side in [30.0, 20.0, 10.0] {
            motion.predict(Duration::from_millis(200));
            motion.correct(&square(50.0, 50.0, side));
        }
        motion.predict(Duration::from_secs(60));
        assert!(motion.bounds().area() > 0.0);
        motion.stop();
        let before = motion.bounds();
        motion.predict(Duration::from_secs(60));
        assert_eq!(motion.bounds(), before);
    }
}
