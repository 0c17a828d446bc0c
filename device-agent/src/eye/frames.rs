use std::borrow::Cow;
use std::time::{Duration, Instant};

use image::{ImageBuffer, Rgb, imageops};

use crate::config::FramesConfig;
use crate::picture::{Picture, PictureError};

/// The pictures that are published: how often, how large, how good.
#[derive(Debug)]
pub(super) struct Frames {
    config: FramesConfig,
    /// Least time between two of them.
    rest: Duration,
    shown: Option<Instant>,
}

impl Frames {
    /// `interval` is the time between two captured pictures.
    pub(super) fn new(config: FramesConfig, interval: Duration) -> Self {
        Self {
            // Half a frame of slack, or a picture that comes a moment early would wait for the next.
            rest: config.interval.saturating_sub(interval / 2),
            config,
            shown: None,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.shown
            .is_none_or(|shown| now.saturating_duration_since(shown) >= self.rest)
    }

    /// A picture was published.
    pub(super) const fn published(&mut self, now: Instant) {
        self.shown = Some(now);
    }

    pub(super) fn jpeg(&self, picture: &Picture) -> Result<Vec<u8>, PictureError> {
        at_most(picture, self.config.width)?.to_jpeg(self.config.quality)
    }
}

/// A picture of at most this width in pixels, each of which averages those that it replaces; 0 leaves it as it is.
fn at_most(picture: &Picture, width: u32) -> Result<Cow<'_, Picture>, PictureError> {
    if width == 0 || picture.width() <= width {
        return Ok(Cow::Borrowed(picture));
    }
    let ratio = f64::from(width) / f64::from(picture.width());
    let height = (f64::from(picture.height()) * ratio).round().max(1.0) as u32;
    let source =
        ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(picture.width(), picture.height(), picture.rgb())
            .expect("a picture has pixels for its size");
    let small = imageops::thumbnail(&source, width, height);
    Ok(Cow::Owned(Picture::from_rgb(
        width,
        height,
        small.into_raw(),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_shrink_to_a_width_and_never_grow() {
        for (size, width, expected) in [
            ((1920, 1080), 640, (640, 360)),
            ((640, 480), 640, (640, 480)),
            ((320, 320), 640, (320, 320)),
            ((1920, 1080), 0, (1920, 1080)),
            ((1921, 3), 640, (640, 1)),
        ] {
            let rgb = [10, 200, 30].repeat(size.0 as usize * size.1 as usize);
            let picture = Picture::from_rgb(size.0, size.1, rgb).unwrap();
            let small = at_most(&picture, width).unwrap();
            assert_eq!((small.width(), small.height()), expected, "{size:?}");
            assert_eq!(small.rgb()[..3], [10, 200, 30]);
        }
    }

    #[test]
    fn pictures_keep_their_rate() {
        let config = FramesConfig {
            interval: Duration::from_secs(1),
            quality: 80,
            width: 0,
        };
        let mut frames = Frames::new(config, Duration::from_millis(200));
        let begin = Instant::now();
        let mut shown = 0;
        for frame in 0..50 {
            let now = begin + Duration::from_millis(200) * frame;
            if frames.is_due(now) {
                frames.published(now);
                shown += 1;
            }
        }
        assert_eq!(shown, 10);
    }
}
