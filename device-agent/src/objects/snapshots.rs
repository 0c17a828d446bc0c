use std::collections::BTreeMap;

use ashya_protocol::TimeUs;

use crate::detect::PixelBox;
use crate::looked::Looked;
use crate::picture::{Picture, PictureError};
use crate::region::{Region, cut_out};
use crate::track::TrackId;

/// How many times better a picture must be to replace another: each replacement costs an encoding.
const BETTER: f32 = 1.2;
/// Distance from the picture's edge, as a part of its side, within which an object may be cut off.
const EDGE: f32 = 0.005;
/// Side of the square that is cut out, in longer sides of the object's box: it shows where the object is.
const CONTEXT: f32 = 2.0;
/// Least side of that square in pixels: what small models see at once.
const LEAST_SIDE: f32 = 320.0;
/// Most bytes of pictures that are kept at a time: hundreds of people in a large picture must not fill a small machine.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The best picture of each object so far.
#[derive(Debug)]
pub(crate) struct Snapshots {
    best: BTreeMap<TrackId, Best>,
    bytes: usize,
    looked: Looked,
}

/// A picture of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The square around the object, as a JPEG.
    pub(crate) jpeg: Vec<u8>,
    /// When it was taken.
    pub(crate) time_us: TimeUs,
}

#[derive(Debug)]
struct Best {
    worth: Worth,
    snapshot: Snapshot,
}

/// How good a picture of an object is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Worth {
    /// Not cut by the picture's edge.
    whole: bool,
    /// Area in pixels times score.
    clear: f32,
}

impl Snapshots {
    /// No picture yet; `looked` counts those that find no room.
    pub(crate) const fn new(looked: Looked) -> Self {
        Self {
            best: BTreeMap::new(),
            bytes: 0,
            looked,
        }
    }

    /// Keeps a picture of an object if it is the best so far; `quality` is that of a JPEG, 1 to 100.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn offer(
        &mut self,
        id: TrackId,
        (picture, time_us): (&Picture, TimeUs),
        (bounds, score): (&PixelBox, f32),
        quality: u8,
    ) -> Result<(), PictureError> {
        let worth = Worth::of(picture, bounds, score);
        if self
            .best
            .get(&id)
            .is_some_and(|best| !worth.beats(best.worth))
        {
            return Ok(());
        }
        let jpeg = cut_out(picture, around(picture, bounds)).to_jpeg(quality)?;
        let freed = self
            .best
            .get(&id)
            .map_or(0, |best| best.snapshot.jpeg.len());
        let bytes = self.bytes - freed + jpeg.len();
        if bytes > MOST_BYTES {
            self.looked.skip_snapshot();
            return Ok(());
        }
        self.bytes = bytes;
        let snapshot = Snapshot { jpeg, time_us };
        self.best.insert(id, Best { worth, snapshot });
        Ok(())
    }

    /// The best picture of an object so far.
    pub(crate) fn best(&self, id: TrackId) -> Option<&Snapshot> {
        self.best.get(&id).map(|best| &best.snapshot)
    }

    /// Forgets an object and returns its best picture.
    pub(crate) fn take(&mut self, id: TrackId) -> Option<Snapshot> {
        let best = self.best.remove(&id)?;
        self.bytes -= best.snapshot.jpeg.len();
        Some(best.snapshot)
    }
}

impl Worth {
    fn of(picture: &Picture, bounds: &PixelBox, score: f32) -> Self {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let whole = bounds.x1 > width * EDGE
            && bounds.y1 > height * EDGE
            && bounds.x2 < width * (1.0 - EDGE)
            && bounds.y2 < height * (1.0 - EDGE);
        Self {
            whole,
            clear: bounds.area() * score,
        }
    }

    fn beats(self, other: Self) -> bool {
        if self.whole == other.whole {
            self.clear > other.clear * BETTER
        } else {
            self.whole
        }
    }
}

/// The square around an object with some of what is around it, moved into the picture, or what of it the picture has.
fn around(picture: &Picture, bounds: &PixelBox) -> Region {
    let longer = (bounds.x2 - bounds.x1).max(bounds.y2 - bounds.y1);
    let side = (longer * CONTEXT).max(LEAST_SIDE).ceil();
    let along = |middle: f32, length: u32| {
        let side = (side as u32).clamp(1, length);
        let from = (middle - side as f32 / 2.0).round().max(0.0) as u32;
        (from.min(length - side), side)
    };
    let (left, width) = along((bounds.x1 + bounds.x2) / 2.0, picture.width());
    let (top, height) = along((bounds.y1 + bounds.y2) / 2.0, picture.height());
    Region {
        left,
        top,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u64) -> TrackId {
        TrackId::new(number)
    }

    fn time(us: u64) -> TimeUs {
        TimeUs::try_from(us).unwrap()
    }

    #[test]
    fn the_best_picture_stays() {
        let picture = Picture::from_rgb(640, 480, vec![90; 640 * 480 * 3]).unwrap();
        let mut snapshots = Snapshots::new(Looked::default());
        for (moment, x, side, score, best) in [
            // Cut by the left edge: better than nothing.
            (1, 20.0, 40.0, 0.9, 1),
            // Larger, but cut too.
            (2, 30.0, 60.0, 0.9, 2),
            // Smaller and whole.
            (3, 100.0, 30.0, 0.9, 3),
            // A little better is not worth it.
            (4, 110.0, 31.0, 0.9, 3),
            // Larger, but the model hardly knows it.
            (5, 120.0, 40.0, 0.3, 3),
            (6, 130.0, 40.0, 0.9, 6),
            // Large and cut.
            (7, 620.0, 200.0, 0.9, 6),
        ] {
            let bounds = PixelBox::around(x, 200.0, side, side);
            snapshots
                .offer(id(1), (&picture, time(moment)), (&bounds, score), 80)
                .unwrap();
            assert_eq!(
                snapshots.best(id(1)).unwrap().time_us.get(),
                best,
                "at {moment}"
            );
        }
        assert_eq!(snapshots.take(id(1)).unwrap().time_us, time(6));
        assert_eq!((snapshots.take(id(1)), snapshots.bytes), (None, 0));
    }

    #[test]
    fn the_square_lies_in_the_picture() {
        let picture = Picture::from_rgb(1000, 600, vec![0; 1000 * 600 * 3]).unwrap();
        let part = |left, top, width, height| Region {
            left,
            top,
            width,
            height,
        };
        for (x, y, width, height, expected) in [
            // Small: 320 pixels around it.
            (500.0, 300.0, 20.0, 40.0, part(340, 140, 320, 320)),
            // Twice its longer side.
            (500.0, 300.0, 100.0, 200.0, part(300, 100, 400, 400)),
            // Moved in from the corners.
            (10.0, 10.0, 20.0, 20.0, part(0, 0, 320, 320)),
            (990.0, 590.0, 20.0, 20.0, part(680, 280, 320, 320)),
            // No more than there is.
            (500.0, 300.0, 100.0, 400.0, part(100, 0, 800, 600)),
            (500.0, 300.0, 900.0, 500.0, part(0, 0, 1000, 600)),
        ] {
            let bounds = PixelBox::around(x, y, width, height);
            assert_eq!(around(&picture, &bounds), expected, "{bounds:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        // Noise hardly compresses: a large JPEG each.
        let mut state = 1_u32;
        let rgb = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let picture = Picture::from_rgb(1200, 1200, rgb.take(1200 * 1200 * 3).collect()).unwrap();
        let bounds = PixelBox::around(600.0, 600.0, 590.0, 590.0);
        let looked = Looked::default();
        let mut snapshots = Snapshots::new(looked.clone());
        for number in 1..=20 {
            snapshots
                .offer(id(number), (&picture, time(1)), (&bounds, 0.9), 100)
                .unwrap();
        }
        let kept = snapshots.best.len() as u64;
        assert!(snapshots.bytes <= MOST_BYTES);
        assert_eq!(looked.read().snapshots_skipped, 20 - kept);
        assert!(kept < 20, "all {kept} found room");
        assert!(snapshots.best(id(1)).is_some());
        let kept: usize = snapshots
            .best
            .values()
            .map(|best| best.snapshot.jpeg.len())
            .sum();
        assert_eq!(kept, snapshots.bytes);
    }
}
