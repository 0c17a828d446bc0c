//! Parts of the picture that have a name: who is in them, who has been, who stays too long.
//!
//! An object stands where the middle of the lower edge of its box is. It enters a zone when it has stood inside for a few
//! frames in a row, and leaves it when it has stood outside for as many, so that an object on the border does not come and
//! go with every frame.

mod visit;

use std::collections::BTreeSet;
use std::time::Duration;

use ashya_protocol::ZoneName;

use crate::polygon::Polygon;

pub(crate) use self::visit::Visit;

/// A named part of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// What it is called.
    pub name: ZoneName,
    /// Where it is.
    pub polygon: Polygon,
    /// Whom it is for; empty for all.
    pub labels: BTreeSet<String>,
    /// Frames in a row, 1 or more, that make somebody enter or leave.
    pub inertia: u32,
    /// How long somebody may stay before they loiter.
    pub loitering: Option<Duration>,
}

impl Zone {
    /// Whether an object of a label with this box, `[x, y, width, height]` in fractions of the picture, stands in it.
    pub(crate) fn holds(&self, label: &str, [x, y, width, height]: [f32; 4]) -> bool {
        (self.labels.is_empty() || self.labels.contains(label))
            && self
                .polygon
                .contains([x + width / 2.0, y + height].map(f64::from))
    }
}
