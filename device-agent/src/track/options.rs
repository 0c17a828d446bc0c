use std::time::Duration;

use thiserror::Error;

/// How a tracker decides.
///
/// ByteTrack's authors chose their numbers for films of 30 frames a second. The defaults here are for the few frames a second
/// of a small machine, where somebody who walks by moves most of their width between two frames; they were chosen on
/// generated streets other than those that `tests/tracking` judges by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerOptions {
    /// Least score of a sure box, which any object may take.
    pub sure: f32,
    /// Least score of an unsure box, which only an object that was seen in the last frame may take.
    pub unsure: f32,
    /// Least score of a box that begins an object.
    pub begin: f32,
    /// Least overlap times score between an object and a sure box.
    pub overlap: f32,
    /// Least overlap between an object and an unsure box.
    pub unsure_overlap: f32,
    /// Least overlap times score between an object that is not confirmed, whose velocity nobody knows, and a sure box.
    pub begin_overlap: f32,
    /// Frames in a row that confirm an object, 1 or more.
    pub min_hits: u32,
    /// How long an object may be hidden before it is gone.
    pub lost: Duration,
}

/// Why options make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrackerOptionsError {
    /// A score or overlap is no number from 0 to 1.
    #[error("{0} is a number from 0 to 1")]
    Range(&'static str),
    /// The scores are in the wrong order.
    #[error("the scores rise from unsure over sure to begin")]
    Order,
    /// Nothing would ever be confirmed.
    #[error("min_hits is 1 or more")]
    Hits,
}

impl TrackerOptions {
    /// Below it a box is more often noise than an object (ByteTrack: 0.1).
    pub const UNSURE: f32 = 0.2;
    /// By how much a box that begins an object is better than one that carries it on (ByteTrack: 0.1).
    pub const BEGIN_ABOVE: f32 = 0.1;
    /// ByteTrack: 0.2, which gives a car that drives into the picture, and grows, a new number on the way.
    pub const OVERLAP: f32 = 0.05;
    /// ByteTrack: 0.5, with which the boxes of something else carry on what is gone.
    pub const UNSURE_OVERLAP: f32 = 0.7;
    /// ByteTrack: 0.3.
    pub const BEGIN_OVERLAP: f32 = 0.1;
    /// A ghost seldom stands in the same place for three frames (ByteTrack: 2).
    pub const MIN_HITS: u32 = 3;
    /// Long enough to pass behind a bus (ByteTrack: 1 s).
    pub const LOST: Duration = Duration::from_secs(3);

    /// The defaults, for boxes that are sure from a score of `sure` on.
    pub fn for_score(sure: f32) -> Self {
        Self {
            sure,
            unsure: Self::UNSURE.min(sure),
            begin: (sure + Self::BEGIN_ABOVE).min(1.0),
            overlap: Self::OVERLAP,
            unsure_overlap: Self::UNSURE_OVERLAP,
            begin_overlap: Self::BEGIN_OVERLAP,
            min_hits: Self::MIN_HITS,
            lost: Self::LOST,
        }
    }

    /// The options, if they make sense.
    ///
    /// # Errors
    /// When a number is out of range or the scores are in the wrong order.
    pub fn checked(self) -> Result<Self, TrackerOptionsError> {
        for (name, value) in [
            ("sure", self.sure),
            ("unsure", self.unsure),
            ("begin", self.begin),
            ("overlap", self.overlap),
            ("unsure_overlap", self.unsure_overlap),
            ("begin_overlap", self.begin_overlap),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(TrackerOptionsError::Range(name));
            }
        }
        if !(self.unsure <= self.sure && self.sure <= self.begin) {
            return Err(TrackerOptionsError::Order);
        }
        if self.min_hits == 0 {
            return Err(TrackerOptionsError::Hits);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        let good = TrackerOptions::for_score(0.4);
        assert_eq!(good.checked(), Ok(good));
        for score in [0.0, 0.05, 0.95, 1.0] {
            assert!(
                TrackerOptions::for_score(score).checked().is_ok(),
                "{score}"
            );
        }
        for (bad, error) in [
            (
                TrackerOptions {
                    overlap: 1.5,
                    ..good
                },
                TrackerOptionsError::Range("overlap"),
            ),
            (
                TrackerOptions {
                    begin: f32::NAN,
                    ..good
                },
                TrackerOptionsError::Range("begin"),
            ),
            (
                TrackerOptions { begin: 0.3, ..good },
                TrackerOptionsError::Order,
            ),
            (
                TrackerOptions {
                    unsure: 0.5,
                    ..good
                },
                TrackerOptionsError::Order,
            ),
            (
                TrackerOptions {
                    min_hits: 0,
                    ..good
                },
                TrackerOptionsError::Hits,
            ),
        ] {
            assert_eq!(bad.checked(), Err(error));
        }
    }
}
