use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much was looked at since the start: a cheap handle that the eye writes and others read. Totals that never fall.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looked(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    frames: AtomicU64,
    runs: AtomicU64,
    run_micros: AtomicU64,
    failures: AtomicU64,
    snapshots_skipped: AtomicU64,
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LookedFigures {
    /// Frames that were looked at.
    pub(crate) frames: u64,
    /// Times that the model ran.
    pub(crate) runs: u64,
    /// Microseconds that it took, preparation and decoding included.
    pub(crate) run_micros: u64,
    /// Times that it failed.
    pub(crate) failures: u64,
    /// Pictures that were the best of their object but found no room.
    pub(crate) snapshots_skipped: u64,
}

impl Looked {
    /// A frame was looked at, whether the model ran or not.
    pub(crate) fn frame(&self) {
        self.0.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// The model ran, and took so long.
    pub(crate) fn run(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.runs.fetch_add(1, Ordering::Relaxed);
        self.0.run_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The model failed.
    pub(crate) fn failure(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The best picture of an object found no room.
    pub(crate) fn skip_snapshot(&self) {
        self.0.snapshots_skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// The totals now.
    pub(crate) fn read(&self) -> LookedFigures {
        LookedFigures {
            frames: self.0.frames.load(Ordering::Relaxed),
            runs: self.0.runs.load(Ordering::Relaxed),
            run_micros: self.0.run_micros.load(Ordering::Relaxed),
            failures: self.0.failures.load(Ordering::Relaxed),
            snapshots_skipped: self.0.snapshots_skipped.load(Ordering::Relaxed),
        }
    }
}

impl LookedFigures {
    /// Frames a second and milliseconds a run, since `before`, which was `time` ago.
    pub(crate) fn rates_since(self, before: Self, time: Duration) -> (f32, Option<f32>) {
        let frames = self.frames.saturating_sub(before.frames) as f32;
        let runs = self.runs.saturating_sub(before.runs);
        let micros = self.run_micros.saturating_sub(before.run_micros);
        let seconds = time.as_secs_f32().max(f32::EPSILON);
        let each = (runs > 0).then(|| micros as f32 / runs as f32 / 1_000.0);
        (tenths(frames / seconds), each.map(tenths))
    }
}

/// One digit after the point is what such figures are worth.
fn tenths(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_the_last_look() {
        let looked = Looked::default();
        for _ in 0..7 {
            looked.frame();
        }
        let before = looked.read();
        for millis in [10, 21] {
            looked.frame();
            looked.run(Duration::from_millis(millis));
        }
        let two_seconds = Duration::from_secs(2);
        let rates = |now: LookedFigures, before| now.rates_since(before, two_seconds);
        assert_eq!(rates(looked.read(), before), (1.0, Some(15.5)));
        let now = looked.read();
        assert_eq!(rates(now, now), (0.0, None), "nothing was looked at");
    }
}
