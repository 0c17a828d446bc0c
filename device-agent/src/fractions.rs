//! From the pixels of a picture to the fractions that events speak in.

use ashya_protocol::{BoundingBox, DetectedObject};

use crate::detect::{Candidate, PixelBox};
use crate::picture::Picture;

/// An object as it is published: its box in fractions of the picture.
pub fn detected(object: &Candidate, label: &str, picture: &Picture) -> DetectedObject {
    DetectedObject {
        track: None,
        label: label.to_owned(),
        class: object.class,
        score: rounded(object.score),
        bounds: fractions(&object.bounds, picture),
    }
}

/// A box in fractions of the picture.
pub(crate) fn fractions(bounds: &PixelBox, picture: &Picture) -> BoundingBox {
    let PixelBox { x1, y1, x2, y2 } = bounds;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let bounds = [
        x1 / width,
        y1 / height,
        (x2 - x1) / width,
        (y2 - y1) / height,
    ];
    BoundingBox(bounds.map(rounded))
}

/// Five digits tell apart the pixels of any picture that fits an envelope; more would only cost bytes.
fn rounded(value: f32) -> f32 {
    (value.clamp(0.0, 1.0) * 1e5).round() / 1e5
}
