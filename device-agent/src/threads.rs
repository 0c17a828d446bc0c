use std::fmt;
use std::str::FromStr;
use std::thread::available_parallelism;

use thiserror::Error;

/// Most threads for one picture. No machine that looks at one picture has more use for them, and starting a hundred
/// thousand takes for ever.
const MAX: usize = 256;

/// CPU threads that one picture may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(usize);

/// Not a number of threads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a number from 1 to {MAX}")]
pub struct ThreadsError;

impl Threads {
    /// A single one.
    pub const ONE: Self = Self(1);

    /// What each of several has of the threads that this machine runs at a time.
    pub fn shared_by(several: Self) -> Self {
        Self((Self::default().0 / several.0).max(1))
    }

    /// The number itself.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for Threads {
    /// As many as this machine runs at a time.
    fn default() -> Self {
        Self(available_parallelism().map_or(1, |threads| threads.get().min(MAX)))
    }
}

impl TryFrom<usize> for Threads {
    type Error = ThreadsError;

    fn try_from(threads: usize) -> Result<Self, ThreadsError> {
        if (1..=MAX).contains(&threads) {
            Ok(Self(threads))
        } else {
            Err(ThreadsError)
        }
    }
}

impl FromStr for Threads {
    type Err = ThreadsError;

    fn from_str(text: &str) -> Result<Self, ThreadsError> {
        text.parse::<usize>().map_err(|_| ThreadsError)?.try_into()
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_share_the_processor_and_each_has_a_thread() {
        let all = Threads::default().get();
        for (jobs, threads) in [(1, all), (2, (all / 2).max(1)), (256, (all / 256).max(1))] {
            assert_eq!(Threads::shared_by(Threads(jobs)).get(), threads, "{jobs}");
        }
    }

    #[test]
    fn more_threads_than_a_machine_can_start_are_refused() {
        for (text, threads) in [
            ("1", Some(1)),
            ("256", Some(256)),
            ("0", None),
            ("257", None),
            ("100000", None),
            ("-1", None),
            ("two", None),
        ] {
            let read: Option<Threads> = text.parse().ok();
            assert_eq!(read.map(Threads::get), threads, "{text}");
        }
        assert!((1..=MAX).contains(&Threads::default().get()));
    }
}
