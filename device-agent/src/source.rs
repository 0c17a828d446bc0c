//! Where frames come from: a folder of pictures, a video file, or a generated street scene.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::picture::{Picture, PictureError};

mod backdrop;
mod counters;
mod dice;
mod folder;
mod paint;
mod scene;
mod street;
mod video;

pub use self::counters::{SourceCounters, SourceFigures};
pub use self::folder::FolderSource;
pub use self::scene::{Scene, SceneSource, Truth};
pub use self::video::{VideoError, VideoSource};

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
}

/// Which source to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// `scene:SEED`: a generated street scene.
    Scene(u64),
    /// A folder of pictures, one picture, or a video file.
    Path(PathBuf),
}

/// How a source plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playback {
    /// Every frame once, as fast as they are asked for.
    Once,
    /// Over and over, a frame each interval, as a camera would.
    Live(Duration),
}

/// Not a source.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no scene: expected scene:NUMBER, such as scene:7")]
pub struct SourceSpecError(String);

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
        /// The file.
        path: String,
        /// What happened.
        source: VideoError,
    },
}

impl SourceSpec {
    /// Opens the source. One that waits for its next frame ends instead once `stop` is cancelled.
    ///
    /// # Errors
    /// When it is not there, or yields nothing.
    pub fn open(
        &self,
        playback: Playback,
        stop: &CancellationToken,
    ) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(match self {
            Self::Scene(seed) => Box::new(SceneSource::new(*seed, playback)),
            Self::Path(path) if path.is_dir() || is_picture(path) => {
                Box::new(FolderSource::open(path, playback)?)
            }
            Self::Path(path) => Box::new(VideoSource::open(path, playback, stop.clone())?),
        })
    }

    /// Whether the source ends by itself when it is played once.
    pub const fn is_endless(&self) -> bool {
        matches!(self, Self::Scene(_))
    }
}

impl SourceError {
    /// Whether asking again is pointless.
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Picture { .. })
    }

    /// Whether the source lives but gave nothing for too long.
    pub const fn is_stall(&self) -> bool {
        matches!(
            self,
            Self::Video {
                source: VideoError::Stalled(_),
                ..
            }
        )
    }
}

impl FromStr for SourceSpec {
    type Err = SourceSpecError;

    fn from_str(text: &str) -> Result<Self, SourceSpecError> {
        match text.strip_prefix("scene:") {
            Some(seed) => seed
                .parse()
                .map(Self::Scene)
                .map_err(|_| SourceSpecError(text.to_owned())),
            None => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

impl std::fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scene(seed) => write!(f, "scene:{seed}"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|end| end.to_str())
        .is_some_and(|end| PICTURES.iter().any(|known| known.eq_ignore_ascii_case(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_by_their_text() {
        for (text, expected) in [
            ("scene:7", Some(SourceSpec::Scene(7))),
            ("scene:", None),
            ("scene:x", None),
            ("street.mp4", Some(SourceSpec::Path("street.mp4".into()))),
        ] {
            assert_eq!(text.parse::<SourceSpec>().ok(), expected, "{text}");
        }
    }
}
