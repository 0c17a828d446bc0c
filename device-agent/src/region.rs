//! Parts of a large picture, so that the model sees what is small in it.
//!
//! A model shrinks every picture to its input: a walker of 60 pixels in a picture of 1920 has 10 left at 320. So the
//! eye looks at squares round what moves, no larger than they must be, and takes what it finds back to the picture.

use crate::detect::{Candidate, PixelBox, Size};

mod cut;
mod merge;
mod plan;

pub(crate) use self::cut::cut_out;
pub(crate) use self::merge::{Found, is_part_of, merge, still_standing};
pub(crate) use self::plan::{is_large, plan};

/// Share of a region's longer side within which a box at its border counts as cut by it.
const BORDER: f32 = 0.015;

/// A part of a picture, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Region {
    pub(crate) fn bounds(&self) -> PixelBox {
        PixelBox {
            x1: self.left as f32,
            y1: self.top as f32,
            x2: (self.left + self.width) as f32,
            y2: (self.top + self.height) as f32,
        }
    }

    /// Takes an object that was found in this part back to the picture.
    pub(crate) fn place(&self, object: Candidate, picture: Size) -> Found {
        let (left, top) = (self.left as f32, self.top as f32);
        let PixelBox { x1, y1, x2, y2 } = object.bounds;
        let bounds = PixelBox {
            x1: x1 + left,
            y1: y1 + top,
            x2: x2 + left,
            y2: y2 + top,
        };
        Found {
            object: Candidate { bounds, ..object },
            cut: self.cuts(&bounds, picture),
        }
    }

    /// Whether a box ends at a border of this part that is not one of the picture: there may be more of it beyond.
    fn cuts(&self, found: &PixelBox, picture: Size) -> bool {
        let near = BORDER * self.width.max(self.height) as f32;
        let border = self.bounds();
        (self.left > 0 && found.x1 - border.x1 < near)
            || (self.top > 0 && found.y1 - border.y1 < near)
            || (self.left + self.width < picture.width && border.x2 - found.x2 < near)
            || (self.top + self.height < picture.height && border.y2 - found.y2 < near)
    }
}

/// Area that two boxes share, in square pixels.
fn shared(a: &PixelBox, b: &PixelBox) -> f32 {
    PixelBox {
        x1: a.x1.max(b.x1),
        y1: a.y1.max(b.y1),
        x2: a.x2.min(b.x2),
        y2: a.y2.min(b.y2),
    }
    .area()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_at_inner_borders_are_cut() {
        let picture = Size {
            width: 1000,
            height: 800,
        };
        let region = Region {
            left: 200,
            top: 0,
            width: 400,
            height: 400,
        };
        for (bounds, cut) in [
            ([100.0, 100.0, 200.0, 200.0], false),
            ([1.0, 100.0, 200.0, 200.0], true),
            ([300.0, 100.0, 399.0, 200.0], true),
            // The upper border is the picture's own.
            ([100.0, 0.0, 200.0, 200.0], false),
            ([100.0, 100.0, 200.0, 398.0], true),
        ] {
            let [x1, y1, x2, y2] = bounds;
            let object = Candidate {
                bounds: PixelBox { x1, y1, x2, y2 },
                score: 0.5,
                class: 0,
            };
            let found = region.place(object, picture);
            assert_eq!(found.cut, cut, "{bounds:?}");
            assert_eq!(found.object.bounds.x1, x1 + 200.0);
        }
    }
}
