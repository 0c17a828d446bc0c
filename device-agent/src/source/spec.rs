use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::source::camera_url::{CameraUrl, CameraUrlError};
use crate::source::is_picture;

/// What a source may be, for messages.
const KINDS: &str = "rtsp://…, rtsps://…, http://…, https://…, v4l2:/dev/video0, a video file, a folder of pictures, \
     or scene:NUMBER";

/// Ending of a scene's text in which nothing moves.
const STILL: &str = "?still";

/// Which source to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// `scene:SEED`: a generated street scene.
    Scene(u64),
    /// `scene:SEED?still`: a moment of it in which nothing moves.
    Still(u64),
    /// A folder of pictures, one picture, or a video file.
    Path(PathBuf),
    /// `v4l2:PATH`, or a path of the form `/dev/video*`: a camera of this machine.
    Device(PathBuf),
    /// `rtsp://…` or `rtsps://…`: a camera on the network.
    Rtsp(CameraUrl),
    /// `http://…` or `https://…`: an MJPEG stream, a picture that is asked for again and again, or a video.
    Http(CameraUrl),
}

/// Not a source. It does not repeat an address, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceSpecError {
    /// `scene:` without a number.
    #[error("`{0}` is no scene: expected scene:NUMBER, such as scene:7")]
    Scene(String),
    /// `v4l2:` without a path.
    #[error("v4l2: names no device: expected such as v4l2:/dev/video0")]
    Device,
    /// An address that is none.
    #[error(transparent)]
    Url(#[from] CameraUrlError),
    /// A scheme that nothing here speaks.
    #[error("{0}:// is no source: expected {KINDS}")]
    Scheme(String),
    /// Nothing.
    #[error("no source is named: expected {KINDS}")]
    Empty,
}

impl SourceSpec {
    /// The folder that holds its pictures, where they are files already.
    pub(crate) fn pictures_folder(&self) -> Option<&Path> {
        match self {
            Self::Path(path) if path.is_dir() => Some(path),
            Self::Path(path) if is_picture(path) => path.parent().map(|folder| {
                if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                }
            }),
            _ => None,
        }
    }

    /// Whether the source ends by itself when it is played once.
    pub const fn is_endless(&self) -> bool {
        !matches!(self, Self::Path(_))
    }
}

impl FromStr for SourceSpec {
    type Err = SourceSpecError;

    fn from_str(text: &str) -> Result<Self, SourceSpecError> {
        if let Some(scene) = text.strip_prefix("scene:") {
            let refused = |_| SourceSpecError::Scene(text.to_owned());
            return match scene.strip_suffix(STILL) {
                Some(seed) => seed.parse().map(Self::Still).map_err(refused),
                None => scene.parse().map(Self::Scene).map_err(refused),
            };
        }
        if let Some(device) = text.strip_prefix("v4l2:") {
            return if device.is_empty() {
                Err(SourceSpecError::Device)
            } else {
                Ok(Self::Device(device.into()))
            };
        }
        if text.starts_with("/dev/video") {
            return Ok(Self::Device(text.into()));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("rtsp" | "rtsps") => Ok(Self::Rtsp(text.parse()?)),
            Some("http" | "https") => Ok(Self::Http(text.parse()?)),
            Some(other) => Err(SourceSpecError::Scheme(other.to_owned())),
            None if text.is_empty() => Err(SourceSpecError::Empty),
            None => Ok(Self::Path(text.into())),
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scene(seed) => write!(f, "scene:{seed}"),
            Self::Still(seed) => write!(f, "scene:{seed}{STILL}"),
            Self::Path(path) => path.display().fmt(f),
            Self::Device(path) => write!(f, "v4l2:{}", path.display()),
            Self::Rtsp(url) | Self::Http(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_by_their_text() {
        let url = |text: &str| text.parse::<CameraUrl>().unwrap();
        for (text, expected) in [
            ("scene:7", Some(SourceSpec::Scene(7))),
            ("scene:7?still", Some(SourceSpec::Still(7))),
            ("scene:?still", None),
            ("scene:7?moving", None),
            ("scene:", None),
            ("scene:x", None),
            ("street.mp4", Some(SourceSpec::Path("street.mp4".into()))),
            ("v4l2:/dev/cam", Some(SourceSpec::Device("/dev/cam".into()))),
            ("v4l2:", None),
            (
                "/dev/video2",
                Some(SourceSpec::Device("/dev/video2".into())),
            ),
            ("rtsp://cam/1", Some(SourceSpec::Rtsp(url("rtsp://cam/1")))),
            ("RTSPS://cam", Some(SourceSpec::Rtsp(url("rtsps://cam")))),
            (
                "https://cam/a.jpg",
                Some(SourceSpec::Http(url("https://cam/a.jpg"))),
            ),
            ("rtsp://", None),
            ("rtmp://cam/1", None),
            ("concat://a", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<SourceSpec>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn errors_say_what_to_write_and_tell_no_secret() {
        for text in [
            "rtmp://admin:s3cret@cam/1",
            "rtsp://admin:s3cret@/1",
            "v4l2:",
            "",
        ] {
            let error = text.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let spec: SourceSpec = "rtsp://admin:s3cret@cam/1?a=hush".parse().unwrap();
        for shown in [spec.to_string(), format!("{spec:?}")] {
            assert!(
                !shown.contains("s3cret") && !shown.contains("hush"),
                "{shown}"
            );
        }
    }
}
