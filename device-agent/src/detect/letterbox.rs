use crate::detect::PixelBox;
use crate::detect::layout::{Family, Size};
use crate::detect::resize::resize_bilinear;
use crate::picture::Picture;

/// Grey that fills what the picture leaves free; every YOLO was trained with it.
const PAD: u8 = 114;

/// How a picture lies in a model's input: scaled by its gains, then moved by its offset.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Letterbox {
    /// The picture's size in the input, in pixels.
    pub(crate) scaled: Size,
    /// Pixels left of it and above it.
    pub(crate) offset: (u32, u32),
    /// Input pixels per picture pixel, across and down. They differ by the rounding of `scaled`, and a family that
    /// scales back by one number only has two equal ones.
    pub(crate) gain: (f64, f64),
}

impl Letterbox {
    /// Fits a picture into a model's input as the family's own code does.
    pub(crate) fn fit(family: Family, picture: Size, input: Size) -> Self {
        let (width, height) = (f64::from(picture.width), f64::from(picture.height));
        let ratio = (f64::from(input.height) / height).min(f64::from(input.width) / width);
        match family {
            Family::Yolov5 | Family::Yolov8 | Family::EndToEnd => {
                let scaled = Size {
                    width: (width * ratio).round_ties_even().max(1.0) as u32,
                    height: (height * ratio).round_ties_even().max(1.0) as u32,
                };
                let free = |input: u32, scaled: u32| {
                    (f64::from(input - scaled) / 2.0 - 0.1)
                        .round_ties_even()
                        .max(0.0) as u32
                };
                Self {
                    scaled,
                    offset: (
                        free(input.width, scaled.width),
                        free(input.height, scaled.height),
                    ),
                    gain: (
                        f64::from(scaled.width) / width,
                        f64::from(scaled.height) / height,
                    ),
                }
            }
            Family::Yolox => Self {
                scaled: Size {
                    width: ((width * ratio) as u32).max(1),
                    height: ((height * ratio) as u32).max(1),
                },
                offset: (0, 0),
                gain: (ratio, ratio),
            },
        }
    }

    /// Writes the picture as the model's input will have it: three planes of `input.height * input.width` bytes, red,
    /// green, blue; for YOLOX blue, green, red.
    pub(crate) fn fill(
        &self,
        family: Family,
        picture: &Picture,
        input: Size,
        planes: &mut Vec<u8>,
    ) {
        let scaled = resize_bilinear(picture, self.scaled.width, self.scaled.height);
        let order = match family {
            Family::Yolov5 | Family::Yolov8 | Family::EndToEnd => [0, 1, 2],
            Family::Yolox => [2, 1, 0],
        };
        let area = input.width as usize * input.height as usize;
        planes.clear();
        planes.resize(3 * area, PAD);
        let row_bytes = self.scaled.width as usize * 3;
        let (left, top) = (self.offset.0 as usize, self.offset.1 as usize);
        for (row, pixels) in scaled.rgb().chunks_exact(row_bytes).enumerate() {
            let start = (top + row) * input.width as usize + left;
            for (channel, plane) in order.into_iter().enumerate() {
                let line = &mut planes[plane * area + start..][..self.scaled.width as usize];
                for (target, pixel) in line.iter_mut().zip(pixels.chunks_exact(3)) {
                    *target = pixel[channel];
                }
            }
        }
    }

    /// Takes a box from the model's input back to the picture's pixels, cut at the picture's edge.
    pub(crate) fn unfit(&self, found: PixelBox, picture: Size) -> PixelBox {
        let back = |value: f32, offset: u32, gain: f64, limit: u32| {
            ((f64::from(value) - f64::from(offset)) / gain).clamp(0.0, f64::from(limit)) as f32
        };
        let x = |value| back(value, self.offset.0, self.gain.0, picture.width);
        let y = |value| back(value, self.offset.1, self.gain.1, picture.height);
        PixelBox {
            x1: x(found.x1),
            y1: y(found.y1),
            x2: x(found.x2),
            y2: y(found.y2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn where_a_picture_lies_in_the_input() {
        use Family::{Yolov8, Yolox};
        for (family, picture, input, scaled, offset) in [
            (
                Yolov8,
                size(640, 480),
                size(320, 320),
                size(320, 240),
                (0, 40),
            ),
            (
                Yolov8,
                size(480, 640),
                size(320, 320),
                size(240, 320),
                (40, 0),
            ),
            (
                Yolov8,
                size(320, 320),
                size(320, 320),
                size(320, 320),
                (0, 0),
            ),
            // 427 x 0.5 = 213.5 rounds to the even 214; the odd pixel of padding goes to the right.
            (
                Yolov8,
                size(640, 427),
                size(320, 320),
                size(320, 214),
                (0, 53),
            ),
            (
                Yolov8,
                size(427, 640),
                size(320, 320),
                size(214, 320),
                (53, 0),
            ),
            (
                Yolov8,
                size(1280, 720),
                size(640, 384),
                size(640, 360),
                (0, 12),
            ),
            (
                Yolov8,
                size(5000, 1),
                size(320, 320),
                size(320, 1),
                (0, 159),
            ),
            (
                Yolox,
                size(640, 480),
                size(416, 416),
                size(416, 312),
                (0, 0),
            ),
            (
                Yolox,
                size(640, 427),
                size(416, 416),
                size(416, 277),
                (0, 0),
            ),
        ] {
            let fit = Letterbox::fit(family, picture, input);
            assert_eq!(
                (fit.scaled, fit.offset),
                (scaled, offset),
                "{family:?} {picture:?}"
            );
        }
    }

    #[test]
    fn a_box_comes_back_to_where_it_was() {
        for family in [Family::Yolov8, Family::Yolox] {
            let picture = size(641, 427);
            let fit = Letterbox::fit(family, picture, size(320, 320));
            let there = PixelBox {
                x1: (100.0 * fit.gain.0) as f32 + fit.offset.0 as f32,
                y1: (50.0 * fit.gain.1) as f32 + fit.offset.1 as f32,
                x2: 400.0,
                y2: -3.0,
            };
            let back = fit.unfit(there, picture);
            assert!(
                (back.x1 - 100.0).abs() < 0.01 && (back.y1 - 50.0).abs() < 0.01,
                "{back:?}"
            );
            assert_eq!((back.x2, back.y2), (641.0, 0.0), "cut at the edge");
        }
    }

    #[test]
    fn colours_and_padding_are_the_family_s() {
        let picture = Picture::from_rgb(2, 1, vec![255, 102, 0, 255, 102, 0]).unwrap();
        let input = size(2, 2);
        let mut planes = Vec::new();
        for (family, expected) in [
            (
                Family::Yolov8,
                [255, 255, PAD, PAD, 102, 102, PAD, PAD, 0, 0, PAD, PAD],
            ),
            (
                Family::Yolox,
                [0, 0, PAD, PAD, 102, 102, PAD, PAD, 255, 255, PAD, PAD],
            ),
        ] {
            Letterbox::fit(family, size(2, 1), input).fill(family, &picture, input, &mut planes);
            assert_eq!(planes, expected, "{family}");
        }
    }
}
