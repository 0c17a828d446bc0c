use std::io::{self, Cursor};
use std::panic;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use mozjpeg::{Decompress, Marker};
use thiserror::Error;

/// Longest side of a picture in pixels: that of a 16K panorama.
const MAX_SIDE: u32 = 16_384;
/// Most pixels of a picture: 8K has 33 million. A progressive JPEG takes nine bytes for each while it is decoded, and a
/// header that promises them takes only a few.
const MAX_PIXELS: u64 = 40_000_000;
/// Most bytes that another picture takes while it is decoded: 8K with four channels of 16 bits fits.
const MAX_DECODED: u64 = 256 << 20;

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
    /// More than is decoded.
    #[error(
        "a picture of {width}x{height} is too large: at most {} megapixels, and {MAX_SIDE} a side",
        MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
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
    /// When the bytes are neither, damaged, or more than 40 megapixels or 16,384 pixels on a side.
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

/// Whether a picture of this size may be decoded; to be asked before memory is taken for it.
///
/// # Errors
/// When it is too large.
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PictureError::TooLarge { width, height });
    }
    Ok(())
}

/// libjpeg reports an error by unwinding, with a reason of its own inside.
fn decode_jpeg(bytes: &[u8]) -> Result<Picture, PictureError> {
    let (width, height, rgb, orientation) = panic::catch_unwind(|| read_jpeg(bytes))
        .map_err(|_| PictureError::Jpeg("it cannot be decoded".into()))??;
    upright(Picture::from_rgb(width, height, rgb)?, orientation)
}

/// Size, pixels and orientation of a JPEG.
///
/// The decoder matters: two correct ones differ by up to 4 levels where chroma is stretched, and boxes move with
/// them. This one gives the pixels that OpenCV gives.
fn read_jpeg(bytes: &[u8]) -> Result<(u32, u32, Vec<u8>, Orientation), PictureError> {
    let damaged = |error: io::Error| PictureError::Jpeg(error.to_string());
    let decoder = Decompress::with_markers(&[Marker::APP(1)])
        .from_mem(bytes)
        .map_err(damaged)?;
    // A JPEG has 16 bits for each.
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    check_size(width, height)?;
    let orientation = decoder
        .markers()
        .filter_map(|marker| marker.data.strip_prefix(b"Exif\0\0"))
        .find_map(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let mut rows = decoder.rgb().map_err(damaged)?;
    let rgb = rows.read_scanlines::<u8>().map_err(damaged)?;
    rows.finish().map_err(damaged)?;
    Ok((width, height, rgb, orientation))
}

fn decode_other(bytes: &[u8]) -> Result<Picture, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PictureError::Other(error.into()))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(PictureError::Other)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    if decoder.total_bytes() > MAX_DECODED {
        return Err(PictureError::TooLarge { width, height });
    }
    let image = DynamicImage::from_decoder(decoder).map_err(PictureError::Other)?;
    Picture::from_rgb(width, height, image.into_rgb8().into_raw())
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

    /// A JPEG whose header promises another size than it holds.
    fn promising_jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut jpeg = stripes(64, 32).to_jpeg(85).unwrap();
        let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        jpeg
    }

    /// A PNG of so many bytes a pixel whose header promises another size than it holds.
    fn promising_png(width: u32, height: u32, color: image::ColorType) -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        let pixel = vec![0; usize::from(color.bytes_per_pixel())];
        let format = image::ImageFormat::Png;
        image::write_buffer_with_format(&mut png, &pixel, 1, 1, color, format).unwrap();
        let mut png = png.into_inner();
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        png
    }

    /// The checksum of a PNG's chunk (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        let steps = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| steps(crc))
        })
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_memory_is_taken() {
        use image::ColorType::{Rgb8, Rgba16};
        for bytes in [
            promising_jpeg(16_384, 16_384),
            promising_jpeg(8_000, 5_001),
            promising_jpeg(16_385, 1),
            promising_png(8_000, 5_001, Rgb8),
            promising_png(16_385, 1, Rgb8),
            promising_png(1, u32::MAX >> 1, Rgb8),
            promising_png(6_300, 6_300, Rgba16),
        ] {
            let refused = Picture::decode(&bytes).err();
            assert!(
                matches!(refused, Some(PictureError::TooLarge { .. })),
                "{refused:?}"
            );
        }
        // What is missing of a JPEG that ends too soon is grey.
        let fair = Picture::decode(&promising_jpeg(640, 480)).unwrap();
        assert_eq!((fair.width(), fair.height()), (640, 480));
        assert!(check_size(7_680, 4_320).is_ok() && check_size(16_384, 2_400).is_ok());
    }
}
