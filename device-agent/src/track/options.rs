use std::time::Duration;

use thiserror::Error;

/// How a tracker decides. Overlaps are those of ByteTrack's authors but for the one that begins an object.
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
    /// Least overlap times score between an object that is not confirmed and a sure box. Nothing is known of its velocity yet,
    /// and at a few frames a second somebody who walks by moves most of their width: the authors' 0.3 is for 30.
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
    /// What ByteTrack's authors use, for boxes that are sure from a score of `sure` on.
    pub fn for_score(sure: f32) -> Self {
        Self {
            sure,
            unsure: Self::UNSURE.min(sure),
            begin: (sure + Self::BEGIN_ABOVE).min(1.0),
            overlap: 0.2,
            unsure_overlap: 0.5,
            begin_overlap: 0.1,
            min_hits: Self::MIN_HITS,
            lost: Self::LOST,
        }
    }

    /// Below it a box is more often noise than an object.
    pub const UNSURE: f32 = 0.1;
    /// By how much a box that begins an object is better than one that carries it on.
    pub const BEGIN_ABOVE: f32 = 0.1;
    /// A ghost seldom stands in the same place for three frames.
    pub const MIN_HITS: u32 = 3;
    /// Long enough to pass behind a car. The authors' 30 frames are one second of film; the few frames a second of a small
    /// machine need more.
    pub const LOST: Duration = Duration::from_secs(2);

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
