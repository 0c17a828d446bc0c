//! Where frames come from: a camera, a video file, a folder of pictures, or a generated street scene.

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::picture::{Picture, PictureError};

mod backdrop;
mod camera_url;
mod counters;
mod dice;
mod folder;
mod http;
mod mailbox;
mod options;
mod pace;
mod paint;
#[cfg(feature = "native-rtsp")]
mod rtsp;
mod scene;
mod spec;
mod still;
mod street;
mod video;
mod worker;

pub use self::camera_url::{CameraUrl, CameraUrlError};
pub use self::counters::{SourceCounters, SourceFigures};
pub use self::folder::FolderSource;
pub use self::http::{HttpError, HttpSource};
pub use self::options::{Decoder, SourceOptions, Transport};
#[cfg(feature = "native-rtsp")]
pub use self::rtsp::{RtspError, RtspSource};
pub use self::scene::{Scene, SceneSource, Truth};
pub use self::spec::{SourceSpec, SourceSpecError};
pub use self::still::StillSource;
pub use self::video::{VideoError, VideoInput, VideoSource};

/// Endings of files that are pictures.
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];

/// One picture of a source.
#[derive(Debug, Clone)]
pub struct Frame {
    /// A name that is unique within the source: the file, or the source and a number.
    pub name: String,
    /// The picture.
    pub picture: Picture,
}

/// Something that yields frames, one after the other. It blocks while it waits for the next.
pub trait FrameSource: Send {
    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// When this frame cannot be had. [`SourceError::is_fatal`] tells whether the next one may.
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError>;

    /// Whether frames come at their own time, the newest each time. Others give one whenever they are asked.
    fn is_live(&self) -> bool {
        false
    }
}

/// How a source plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playback {
    /// Every frame once, as fast as they are asked for.
    Once,
    /// Over and over, a frame each interval, as a camera would.
    Live(Duration),
}

/// Why a source yields no frame.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file or folder cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder without pictures.
    #[error("no .jpg, .jpeg or .png picture in {0}")]
    Empty(String),
    /// A picture that cannot be decoded.
    #[error("cannot decode {path}")]
    Picture {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: PictureError,
    },
    /// The video stopped.
    #[error("video {path}")]
    Video {
        /// The file, the device, or the address without its secrets.
        path: String,
        /// What happened.
        source: VideoError,
    },
    /// The camera does not answer as it should.
    #[error("camera {path}")]
    Http {
        /// The address without its secrets.
        path: String,
        /// What happened.
        source: HttpError,
    },
    /// The camera does not answer as it should.
    #[cfg(feature = "native-rtsp")]
    #[error("camera {path}")]
    Rtsp {
        /// The address without its secrets.
        path: String,
        /// What happened.
        source: RtspError,
    },
}

impl SourceSpec {
    /// Opens the source with default options, for whoever counts nothing.
    ///
    /// # Errors
    /// When it is not there, or yields nothing.
    pub fn open(
        &self,
        playback: Playback,
        stop: &CancellationToken,
    ) -> Result<Box<dyn FrameSource>, SourceError> {
        let options = SourceOptions::default();
        self.open_with(playback, &options, &SourceCounters::default(), stop)
    }

    /// Opens the source. One that waits for its next frame ends instead once `stop` is cancelled. A camera is only asked
    /// for its first frame when that is asked for, so one that is away now may come later.
    ///
    /// # Errors
    /// When it is not there, or yields nothing.
    pub fn open_with(
        &self,
        playback: Playback,
        options: &SourceOptions,
        counters: &SourceCounters,
        stop: &CancellationToken,
    ) -> Result<Box<dyn FrameSource>, SourceError> {
        let input = match self {
            Self::Scene(seed) => return Ok(Box::new(SceneSource::new(*seed, playback))),
            Self::Still(seed) => return Ok(Box::new(StillSource::new(*seed))),
            Self::Path(path) if path.is_dir() || is_picture(path) => {
                return Ok(Box::new(FolderSource::open(path, playback)?));
            }
            Self::Http(url) => {
                let (url, stop) = (url.clone(), stop.clone());
                let camera = HttpSource::open(url, playback, options, counters, stop)?;
                return Ok(Box::new(camera));
            }
            #[cfg(feature = "native-rtsp")]
            Self::Rtsp(url) if options.decoder == Decoder::Native => {
                let (url, stop) = (url.clone(), stop.clone());
                let camera = RtspSource::open(url, playback, options, counters, stop)?;
                return Ok(Box::new(camera));
            }
            Self::Path(path) => VideoInput::File(path.clone()),
            Self::Device(path) => VideoInput::Device(path.clone()),
            Self::Rtsp(url) => VideoInput::Rtsp(url.clone()),
        };
        let video = VideoSource::open(input, playback, options, counters, stop.clone())?;
        Ok(Box::new(video))
    }
}

impl SourceError {
    /// Whether asking again is pointless.
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Picture { .. })
    }

    /// Whether the source lives but gave nothing for too long.
    pub const fn is_stall(&self) -> bool {
        match self {
            Self::Video { source, .. } => matches!(source, VideoError::Stalled(_)),
            Self::Http { source, .. } => matches!(source, HttpError::Stalled(_)),
            #[cfg(feature = "native-rtsp")]
            Self::Rtsp { source, .. } => matches!(source, RtspError::Stalled(_)),
            Self::Read { .. } | Self::Empty(_) | Self::Picture { .. } => false,
        }
    }
}

fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|end| end.to_str())
        .is_some_and(|end| PICTURES.iter().any(|known| known.eq_ignore_ascii_case(end)))
}
