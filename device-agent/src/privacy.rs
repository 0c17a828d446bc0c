//! Parts of the picture that never leave the device: burnt black before anything else looks at it.

use std::ops::Range;

use ashya_protocol::TimeUs;
use tiny_skia::Mask;

use crate::picture::Picture;
use crate::polygon::Polygon;

/// Side of the blocks in which JPEG with 4:2:0 chroma and H.264 code a picture, in pixels. What lies in a block leaves
/// traces all over it, so a camera that codes its picture has spread what is masked up to the block's edges.
const BLOCK: usize = 16;
/// Pixels round a polygon that count as in it, so that a pixel that an edge cuts is masked whole.
const MARGIN: f32 = 2.0;
/// Pixels beyond a block over which a decoder smooths it: three with H.264, one for the colours of a JPEG.
const SMEAR: usize = 4;

/// What is burnt black.
#[derive(Debug)]
pub(crate) struct PrivacyMasks {
    polygons: Vec<Polygon>,
    /// Bytes that are black, for the size of the pictures that came last.
    runs: Option<Runs>,
}

#[derive(Debug)]
struct Runs {
    width: u32,
    height: u32,
    /// Of [`Picture::rgb`].
    bytes: Vec<Range<usize>>,
}

/// A picture of a moment without what must stay private. Whatever looks at pictures or sends them takes a view, and
/// only [`PrivacyMasks::burn`] makes one.
#[derive(Debug)]
pub(crate) struct View {
    time_us: TimeUs,
    picture: Picture,
}

impl PrivacyMasks {
    pub(crate) const fn new(polygons: Vec<Polygon>) -> Self {
        Self {
            polygons,
            runs: None,
        }
    }

    /// Makes every block black that a polygon touches, and what its decoder smeared.
    pub(crate) fn burn(&mut self, time_us: TimeUs, mut picture: Picture) -> View {
        if !self.polygons.is_empty() {
            let (width, height) = (picture.width(), picture.height());
            let polygons = &self.polygons;
            let runs = self
                .runs
                .take()
                .filter(|runs| (runs.width, runs.height) == (width, height))
                .unwrap_or_else(|| Runs {
                    width,
                    height,
                    bytes: black_bytes(polygons, width, height),
                });
            let rgb = picture.rgb_mut();
            for run in &runs.bytes {
                rgb[run.clone()].fill(0);
            }
            self.runs = Some(runs);
        }
        View { time_us, picture }
    }
}

impl View {
    /// When it was captured.
    pub(crate) const fn time_us(&self) -> TimeUs {
        self.time_us
    }

    pub(crate) const fn picture(&self) -> &Picture {
        &self.picture
    }
}

/// The runs of bytes in rows of RGB that are in, or near, a block that a polygon touches.
fn black_bytes(polygons: &[Polygon], width: u32, height: u32) -> Vec<Range<usize>> {
    let Some(mut mask) = Mask::new(width, height) else {
        // No such picture exists; one that did would be black.
        let all = 0..width as usize * height as usize * 3;
        return std::iter::once(all).collect();
    };
    for polygon in polygons {
        polygon.draw(&mut mask, MARGIN);
    }
    let (width, height) = (width as usize, height as usize);
    let bands: Vec<Vec<bool>> = mask
        .data()
        .chunks(BLOCK * width)
        .map(|band| touched_blocks(band, width))
        .collect();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in 0..height {
        let last = (row + SMEAR).min(height - 1) / BLOCK;
        let near = &bands[row.saturating_sub(SMEAR) / BLOCK..=last];
        for block in (0..width.div_ceil(BLOCK)).filter(|&block| near.iter().any(|band| band[block]))
        {
            let left = (block * BLOCK).saturating_sub(SMEAR);
            let right = width.min((block + 1) * BLOCK + SMEAR);
            let (start, end) = ((row * width + left) * 3, (row * width + right) * 3);
            match runs.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => runs.push(start..end),
            }
        }
    }
    runs
}

/// Which blocks of a band, rows of a mask that are as high as a block, have a pixel that is covered.
fn touched_blocks(band: &[u8], width: usize) -> Vec<bool> {
    let mut touched = vec![false; width.div_ceil(BLOCK)];
    for row in band.chunks(width) {
        for (touched, pixels) in touched.iter_mut().zip(row.chunks(BLOCK)) {
            *touched |= pixels.iter().any(|&covered| covered > 0);
        }
    }
    touched
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::Scene;

    const WIDTH: u32 = 320;

    fn polygon(corners: &[[f64; 2]]) -> Polygon {
        Polygon::try_from(corners.to_vec()).unwrap()
    }

    /// A door in the middle of the scene, slanted, with edges that cut pixels and blocks.
    fn door() -> Polygon {
        polygon(&[[0.31, 0.42], [0.66, 0.47], [0.63, 0.93], [0.29, 0.88]])
    }

    fn time() -> TimeUs {
        TimeUs::try_from(1).unwrap()
    }

    fn scene(seconds: u64) -> Picture {
        Scene::new(7).at(Duration::from_secs(seconds)).0
    }

    fn burnt(polygon: Polygon, picture: Picture) -> Picture {
        PrivacyMasks::new(vec![polygon])
            .burn(time(), picture)
            .picture
    }

    /// Pixels whose centre is inside the door, exactly.
    fn inside(x: usize, y: usize) -> bool {
        let point = |value: usize| (value as f64 + 0.5) / f64::from(WIDTH);
        let (x, y) = (point(x), point(y));
        let door = door();
        let corners = door.corners();
        (0..corners.len()).all(|index| {
            let ([x1, y1], [x2, y2]) = (corners[index], corners[(index + 1) % corners.len()]);
            (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= 0.0
        })
    }

    /// The scene with something else behind the door.
    fn another_behind_the_door(seed: u8) -> Picture {
        let mut picture = scene(3);
        let width = picture.width() as usize;
        let mut noise = seed;
        for (index, pixel) in picture.rgb_mut().chunks_exact_mut(3).enumerate() {
            if inside(index % width, index / width) {
                noise = noise.wrapping_mul(181).wrapping_add(101);
                pixel.copy_from_slice(&[noise, !noise, noise.rotate_left(3)]);
            }
        }
        picture
    }

    #[test]
    fn published_pixels_inside_a_mask_are_black() {
        let jpeg = burnt(door(), scene(3)).to_jpeg(80).unwrap();
        let published = Picture::decode(&jpeg).unwrap();
        let original = scene(3);
        let (mut black, mut kept) = (0, 0);
        for (index, pixel) in published.rgb().chunks_exact(3).enumerate() {
            if inside(index % 320, index / 320) {
                assert_eq!(pixel, [0, 0, 0], "pixel {index}");
                black += 1;
            } else {
                let before = &original.rgb()[index * 3..][..3];
                kept += usize::from(pixel.iter().zip(before).all(|(a, b)| a.abs_diff(*b) < 40));
            }
        }
        assert!(black > 10_000, "{black}");
        assert!(kept > 70_000, "the rest of the picture is there: {kept}");
    }

    #[test]
    fn what_leaves_does_not_depend_on_what_is_masked() {
        let published = |picture| burnt(door(), picture).to_jpeg(90).unwrap();
        let (one, other) = (another_behind_the_door(1), another_behind_the_door(77));
        assert!(one != other);
        assert!(published(one.clone()) == published(other.clone()));
        // A camera has coded the picture before: its blocks carry what is masked up to their edges.
        for quality in [30, 95] {
            let coded =
                |picture: &Picture| Picture::decode(&picture.to_jpeg(quality).unwrap()).unwrap();
            let (one, other) = (coded(&one), coded(&other));
            let outside = one.rgb().chunks_exact(3).zip(other.rgb().chunks_exact(3));
            let traces = outside
                .enumerate()
                .filter(|(index, (a, b))| a != b && !inside(index % 320, index / 320))
                .count();
            assert!(traces > 500, "only {traces} traces to hide");
            assert!(published(one) == published(other), "quality {quality}");
        }
    }

    #[test]
    fn masks_follow_the_size_of_the_picture() {
        let mut masks = PrivacyMasks::new(vec![polygon(&[
            [0.0, 0.0],
            [1.0, 0.0],
            [1.0, 0.5],
            [0.0, 0.5],
        ])]);
        for (width, height) in [(64, 64), (128, 96), (33, 17), (1, 1), (64, 64)] {
            let white = Picture::from_rgb(width, height, vec![255; (width * height * 3) as usize]);
            let view = masks.burn(time(), white.unwrap());
            let rgb = view.picture().rgb();
            assert_eq!(rgb[0], 0, "{width}x{height}");
            if height > 40 {
                assert_eq!(rgb.last(), Some(&255), "{width}x{height}");
            }
        }
    }

    #[test]
    fn no_mask_changes_nothing() {
        let view = PrivacyMasks::new(Vec::new()).burn(time(), scene(1));
        assert!(*view.picture() == scene(1));
        assert_eq!(view.time_us(), time());
    }
}
