//! From a picture to the objects in it: resize, run the model, read its boxes, drop duplicates.
//!
//! ```text
//!  Picture ─letterbox─► [1, 3, H, W] ─network─► [1, 4+C, N] ─decode─► candidates ─suppress─► objects
//! ```
//!
//! Each step is a pure function of its inputs, but for the network in the middle.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

mod decode;
mod filter;
mod labels;
mod layout;
mod letterbox;
mod metadata;
mod model;
mod network;
mod prepare;
mod provider;
mod resize;
mod suppress;

pub use self::filter::{Filter, FilterError, FilterRules, LabelLimits, Limits};
pub use self::labels::LabelsError;
pub use self::layout::{Expected, Family, Layout, LayoutError, Shape, Size, SizeError};
pub use self::model::{DetectError, Detector, Found, ModelError, ModelOptions};
pub use self::prepare::{Preparation, Prepared};
pub use self::provider::{Provider, ProviderError};
pub(crate) use self::suppress::MAX_OBJECTS;

/// A score in 0..=1 above which an object counts.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Confidence(f32);

/// How much two boxes of a class may overlap (intersection over union) before the weaker one is dropped.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Overlap(f32);

/// Not a number from 0 to 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a confidence is a number from 0 to 1")]
pub struct ConfidenceError;

/// A box in pixels: top left corner inclusive, bottom right corner exclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelBox {
    /// Left edge.
    pub x1: f32,
    /// Upper edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Lower edge.
    pub y2: f32,
}

/// An object that a model found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Where it is.
    pub bounds: PixelBox,
    /// How sure the model is, 0 to 1.
    pub score: f32,
    /// Index of its class.
    pub class: u32,
}

impl Confidence {
    /// What is usual with YOLO models.
    pub const DEFAULT: Self = Self(0.25);

    /// The number itself.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl Overlap {
    /// What the reference implementations use, and what a comparison with them needs.
    pub const REFERENCE: Self = Self(0.7);
    /// For people who watch: at the reference's value one walker often has two boxes, which come and go. Two people
    /// who hide each other this much are rarer.
    pub const CALM: Self = Self(0.45);

    /// The number itself.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl PixelBox {
    /// The box of a size around its centre.
    pub(crate) fn around(x: f32, y: f32, width: f32, height: f32) -> Self {
        let (half_width, half_height) = (width / 2.0, height / 2.0);
        Self {
            x1: x - half_width,
            y1: y - half_height,
            x2: x + half_width,
            y2: y + half_height,
        }
    }

    /// Area in square pixels; 0 for an empty box.
    pub fn area(&self) -> f32 {
        (self.x2 - self.x1).max(0.0) * (self.y2 - self.y1).max(0.0)
    }

    /// Intersection over union with another box, 0 to 1; 0 where both are empty.
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = Self {
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
            x2: self.x2.min(other.x2),
            y2: self.y2.min(other.y2),
        }
        .area();
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }
}

impl Candidate {
    /// Whether it has a score of 0 to 1 and a box with an inside.
    fn is_sound(&self) -> bool {
        let PixelBox { x1, y1, x2, y2 } = self.bounds;
        let finite = [x1, y1, x2, y2].iter().all(|value| value.is_finite());
        finite && x1 < x2 && y1 < y2 && (0.0..=1.0).contains(&self.score)
    }
}

impl TryFrom<f32> for Confidence {
    type Error = ConfidenceError;

    fn try_from(value: f32) -> Result<Self, ConfidenceError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(ConfidenceError)
        }
    }
}

impl FromStr for Confidence {
    type Err = ConfidenceError;

    fn from_str(text: &str) -> Result<Self, ConfidenceError> {
        text.parse::<f32>().map_err(|_| ConfidenceError)?.try_into()
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let unit = PixelBox {
            x1: 0.0,
            y1: 0.0,
            x2: 2.0,
            y2: 2.0,
        };
        for (other, overlap) in [
            (unit, 1.0),
            (
                PixelBox {
                    x1: 1.0,
                    x2: 3.0,
                    ..unit
                },
                1.0 / 3.0,
            ),
            (
                PixelBox {
                    x1: 2.0,
                    x2: 4.0,
                    ..unit
                },
                0.0,
            ),
            // Apart on both axes: two negative sides must not make a positive area.
            (
                PixelBox {
                    x1: 5.0,
                    y1: 5.0,
                    x2: 6.0,
                    y2: 6.0,
                },
                0.0,
            ),
            (
                PixelBox {
                    x1: 1.0,
                    y1: 1.0,
                    x2: 1.0,
                    y2: 1.0,
                },
                0.0,
            ),
        ] {
            assert!((unit.overlap(&other) - overlap).abs() < 1e-6, "{other:?}");
        }
    }

    #[test]
    fn confidences() {
        for (text, valid) in [
            ("0", true),
            ("0.25", true),
            ("1", true),
            ("1.1", false),
            ("-1", false),
            ("NaN", false),
            ("x", false),
        ] {
            assert_eq!(text.parse::<Confidence>().is_ok(), valid, "{text}");
        }
    }
}
