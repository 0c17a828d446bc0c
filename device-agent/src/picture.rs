use std::io::{self, Cursor};
use std::panic;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageReader, Limits, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use mozjpeg::{Decompress, Marker};
use thiserror::Error;

/// Longest side of a picture in pixels: 16K stills fit, a hostile header does not make us allocate gigabytes.
const MAX_SIDE: usize = 16_384;

/// A picture: rows of 8-bit RGB from the top left, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// Why bytes are not a picture, or a picture could not be written.
#[derive(Debug, Error)]
pub enum PictureError {
    /// The file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A JPEG that cannot be decoded.
    #[error("damaged JPEG: {0}")]
    Jpeg(String),
    /// Another picture that cannot be decoded.
    #[error("not a JPEG or PNG picture, or damaged")]
    Other(#[source] image::ImageError),
    /// The pixels do not fill the size.
    #[error("{found} bytes do not fill a picture of {width}x{height}")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes found.
        found: usize,
    },
    /// The encoder refused.
    #[error("cannot encode a JPEG of {width}x{height}: {reason}")]
    Encode {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's reason.
        reason: String,
    },
}

impl Picture {
    /// A picture from its size in pixels and `width * height * 3` bytes of RGB.
    ///
    /// # Errors
    /// When a side is zero or the bytes do not fill the size.
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, PictureError> {
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || rgb.len() as u64 != expected {
            return Err(PictureError::Size {
                width,
                height,
                found: rgb.len(),
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// Reads a JPEG or PNG file.
    ///
    /// # Errors
    /// When the file cannot be read or decoded.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        let bytes = std::fs::read(path).map_err(|source| PictureError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::decode(&bytes)
    }

    /// Decodes a JPEG or PNG picture, turned upright as its EXIF orientation asks.
    ///
    /// # Errors
    /// When the bytes are neither, damaged, or more than 16,384 pixels on a side.
    pub fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.starts_with(&[0xff, 0xd8]) {
            decode_jpeg(bytes)
        } else {
            decode_other(bytes)
        }
    }

    /// Encodes the picture as a JPEG with 4:2:0 chroma; `quality` is 1 to 100.
    ///
    /// # Errors
    /// When a side is longer than a JPEG can say (65,535).
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let refused = |reason: String| PictureError::Encode {
            width: self.width,
            height: self.height,
            reason,
        };
        let width = u16::try_from(self.width).map_err(|error| refused(error.to_string()))?;
        let height = u16::try_from(self.height).map_err(|error| refused(error.to_string()))?;
        let mut bytes = Vec::with_capacity(self.rgb.len() / 8);
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder
            .encode(&self.rgb, width, height, ColorType::Rgb)
            .map_err(|error| refused(error.to_string()))?;
        Ok(bytes)
    }

    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: red, green, blue, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, to draw on.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }
}

/// libjpeg reports an error by unwinding, with a reason of its own inside.
fn decode_jpeg(bytes: &[u8]) -> Result<Picture, PictureError> {
    let (width, height, rgb, orientation) = panic::catch_unwind(|| read_jpeg(bytes))
        .map_err(|_| PictureError::Jpeg("it cannot be decoded".into()))?
        .map_err(|error| PictureError::Jpeg(error.to_string()))?;
    upright(Picture::from_rgb(width, height, rgb)?, orientation)
}

/// Size, pixels and orientation of a JPEG.
///
/// The decoder matters: two correct ones differ by up to 4 levels where chroma is stretched, and boxes move with
/// them. This one gives the pixels that OpenCV gives.
fn read_jpeg(bytes: &[u8]) -> io::Result<(u32, u32, Vec<u8>, Orientation)> {
    let decoder = Decompress::with_markers(&[Marker::APP(1)]).from_mem(bytes)?;
    let (width, height) = decoder.size();
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(io::Error::other(format!(
            "{width}x{height} is more than {MAX_SIDE} a side"
        )));
    }
    let orientation = decoder
        .markers()
        .filter_map(|marker| marker.data.strip_prefix(b"Exif\0\0"))
        .find_map(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let mut rows = decoder.rgb()?;
    let rgb = rows.read_scanlines::<u8>()?;
    rows.finish()?;
    Ok((width as u32, height as u32, rgb, orientation))
}

fn decode_other(bytes: &[u8]) -> Result<Picture, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PictureError::Other(error.into()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    reader.limits(limits);
    let rgb = reader.decode().map_err(PictureError::Other)?.into_rgb8();
    Picture::from_rgb(rgb.width(), rgb.height(), rgb.into_raw())
}

fn upright(picture: Picture, orientation: Orientation) -> Result<Picture, PictureError> {
    let Picture { width, height, rgb } = picture;
    if orientation == Orientation::NoTransforms {
        return Ok(Picture { width, height, rgb });
    }
    let found = rgb.len();
    let image = RgbImage::from_raw(width, height, rgb).ok_or(PictureError::Size {
        width,
        height,
        found,
    })?;
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    let turned = image.into_rgb8();
    Picture::from_rgb(turned.width(), turned.height(), turned.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes(width: u32, height: u32) -> Picture {
        let rgb = (0..width * height)
            .flat_map(|index| {
                if index % width < width / 2 {
                    [250, 10, 10]
                } else {
                    [10, 10, 250]
                }
            })
            .collect();
        Picture::from_rgb(width, height, rgb).unwrap()
    }

    #[test]
    fn a_picture_survives_jpeg() {
        let picture = stripes(64, 32);
        let decoded = Picture::decode(&picture.to_jpeg(95).unwrap()).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (64, 32));
        for (a, b) in picture
            .rgb()
            .chunks(3)
            .zip(decoded.rgb().chunks(3))
            .step_by(7)
        {
            assert!(
                a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) < 90),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn exif_orientation_turns_the_picture() {
        let turned = upright(stripes(64, 32), Orientation::Rotate90).unwrap();
        assert_eq!((turned.width(), turned.height()), (32, 64));
        assert_eq!(&turned.rgb()[..3], &[250, 10, 10]);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let jpeg = stripes(64, 32).to_jpeg(85).unwrap();
        for bytes in [
            &b""[..],
            b"GIF89a",
            &jpeg[..3],
            &jpeg[..40],
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert!(Picture::decode(bytes).is_err(), "{} bytes", bytes.len());
        }
        assert!(Picture::from_rgb(0, 4, Vec::new()).is_err());
        assert!(Picture::from_rgb(2, 2, vec![0; 11]).is_err());
    }
}
