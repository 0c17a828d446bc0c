//! The eye of Ashya: frames in, signed events out.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod annotate;
pub mod cli;
mod detect;
mod picture;
mod runtime;
mod source;

pub use annotate::annotate;
pub use detect::{
    Candidate, Confidence, ConfidenceError, DetectError, Detector, Expected, Family, LabelsError,
    Layout, LayoutError, ModelError, PixelBox, Shape, Size,
};
pub use picture::{Picture, PictureError};
pub use runtime::{LibrarySum, LibrarySumError, Runtime, RuntimeError, RuntimeOptions};
pub use source::{
    FolderSource, Frame, FrameSource, Playback, Scene, SceneSource, SourceError, SourceSpec,
    SourceSpecError, Truth, VideoError, VideoSource,
};
