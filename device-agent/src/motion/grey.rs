use crate::detect::PixelBox;
use crate::motion::blobs::Blob;
use crate::picture::Picture;

/// Longer side of the small picture in pixels. A person who fills a tenth of the height still has some tens of them.
const SIDE: u32 = 160;
/// Most pixels across, and down, that one small pixel averages: 16 of them take most of the noise away, and reading
/// every pixel of a large picture would cost more than all the rest.
const MAX_SAMPLES: u32 = 4;

/// What the three colours of a pixel count together.
const WEIGHT: u32 = 4;

/// A small grey picture: rows of brightness from the top left.
#[derive(Debug)]
pub(super) struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Makes small grey pictures of pictures of one size.
#[derive(Debug)]
pub(super) struct Shrink {
    picture: (u32, u32),
    /// For each small column, the bytes of a row where its samples begin.
    columns: Vec<usize>,
    /// For each small row, the rows of its samples.
    rows: Vec<usize>,
    /// Samples across and down.
    samples: (usize, usize),
    /// Rows of samples, summed down.
    sums: Vec<u16>,
    grey: Grey,
}

impl Grey {
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    #[cfg(test)]
    pub(super) fn new(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), width * height);
        Self {
            width,
            height,
            pixels,
        }
    }
}

impl Shrink {
    /// For pictures of this size in pixels.
    pub(super) fn of(width: u32, height: u32) -> Self {
        let longest = width.max(height);
        let small = |side: u32| {
            if longest <= SIDE {
                side
            } else {
                (side * SIDE / longest).max(1)
            }
        };
        let (small_width, small_height) = (small(width), small(height));
        let across = (width / small_width).clamp(1, MAX_SAMPLES);
        let down = (height / small_height).clamp(1, MAX_SAMPLES);
        Self {
            picture: (width, height),
            columns: samples(width, small_width, across)
                .map(|column| column as usize * 3)
                .collect(),
            rows: samples(height, small_height, down)
                .map(|row| row as usize)
                .collect(),
            samples: (across as usize, down as usize),
            sums: vec![0; width as usize * 3],
            grey: Grey {
                width: small_width as usize,
                height: small_height as usize,
                pixels: vec![0; (small_width * small_height) as usize],
            },
        }
    }

    /// The size of the pictures.
    pub(super) const fn picture(&self) -> (u32, u32) {
        self.picture
    }

    /// The small picture that was made last.
    pub(super) const fn grey(&self) -> &Grey {
        &self.grey
    }

    /// Makes a picture small and grey. The picture must have the size that this is for.
    pub(super) fn shrink(&mut self, picture: &Picture) -> &Grey {
        let stride = picture.width() as usize * 3;
        let (across, down) = self.samples;
        let weight = (across * down) as u32 * WEIGHT;
        let lines = self.grey.pixels.chunks_exact_mut(self.grey.width);
        for (line, rows) in lines.zip(self.rows.chunks_exact(down)) {
            // Whole rows are added up first: that goes many bytes at a time, and leaves fewer places to visit.
            self.sums.fill(0);
            for row in rows {
                let values = &picture.rgb()[row * stride..(row + 1) * stride];
                for (sum, &value) in self.sums.iter_mut().zip(values) {
                    *sum += u16::from(value);
                }
            }
            for (pixel, columns) in line.iter_mut().zip(self.columns.chunks_exact(across)) {
                let sum: u32 = columns
                    .iter()
                    .map(|&start| brightness(&self.sums[start..start + 3]))
                    .sum();
                *pixel = (sum / weight) as u8;
            }
        }
        &self.grey
    }

    /// Where a part of the small picture lies in the picture.
    pub(super) fn enlarge(&self, blob: &Blob) -> PixelBox {
        let across = self.picture.0 as f32 / self.grey.width as f32;
        let down = self.picture.1 as f32 / self.grey.height as f32;
        PixelBox {
            x1: blob.left as f32 * across,
            y1: blob.top as f32 * down,
            x2: blob.right as f32 * across,
            y2: blob.bottom as f32 * down,
        }
    }
}

/// How bright red, green and blue look together, near enough: they count 1, 2 and 1.
fn brightness(rgb: &[u16]) -> u32 {
    u32::from(rgb[0]) + 2 * u32::from(rgb[1]) + u32::from(rgb[2])
}

/// The places that are read for each of `small` places: `count` of them, spread evenly over its part of `side`.
fn samples(side: u32, small: u32, count: u32) -> impl Iterator<Item = u32> {
    (0..small).flat_map(move |place| {
        (0..count).map(move |sample| {
            let position = u64::from(place * count + sample) * 2 + 1;
            (position * u64::from(side) / u64::from(small * count * 2)) as u32
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_evenly() {
        for (side, small, count, expected) in [
            (4, 4, 1, vec![0, 1, 2, 3]),
            (4, 2, 2, vec![0, 1, 2, 3]),
            (9, 3, 3, vec![0, 1, 2, 3, 4, 5, 6, 7, 8]),
            (24, 2, 4, vec![1, 4, 7, 10, 13, 16, 19, 22]),
            (5, 2, 2, vec![0, 1, 3, 4]),
            (1, 1, 1, vec![0]),
        ] {
            let found: Vec<u32> = samples(side, small, count).collect();
            assert_eq!(found, expected, "{side} {small} {count}");
        }
    }

    #[test]
    fn any_picture_becomes_small() {
        for (width, height, small) in [
            (320, 320, (160, 160)),
            (1920, 1080, (160, 90)),
            (1080, 1920, (90, 160)),
            (640, 480, (160, 120)),
            (100, 40, (100, 40)),
            (161, 3, (160, 2)),
            (5000, 1, (160, 1)),
            (1, 1, (1, 1)),
        ] {
            let mut shrink = Shrink::of(width, height);
            let bytes = [200, 100, 0].repeat((width * height) as usize);
            let grey = shrink.shrink(&Picture::from_rgb(width, height, bytes).unwrap());
            assert_eq!(grey.size(), small, "{width}x{height}");
            assert!(grey.pixels().iter().all(|&pixel| pixel == 100));
        }
    }

    #[test]
    fn a_part_comes_back_to_where_it_was() {
        let shrink = Shrink::of(1920, 1080);
        let blob = Blob {
            left: 10,
            top: 20,
            right: 12,
            bottom: 21,
            pixels: 2,
        };
        let expected = PixelBox {
            x1: 120.0,
            y1: 240.0,
            x2: 144.0,
            y2: 252.0,
        };
        assert_eq!(shrink.enlarge(&blob), expected);
    }
}
