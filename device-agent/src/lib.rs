//! The eye of Ashya: frames in, signed events out.
//!
//! ```text
//!  source ─► detect ─► voice ─────────► link ──MQTT──► gateway
//!  frames    objects   signed events    outbox, demand    ▲
//!                                       gateway ──REST────┘ register, credentials
//! ```
//!
//! Capture and inference have a thread each and share only the latest frame; the link lives on the async runtime
//! and keeps what was not acknowledged across connections.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod agent;
mod annotate;
mod backoff;
mod capture;
mod causes;
mod check;
pub mod cli;
mod config;
mod data;
mod demand;
mod detect;
mod eye;
mod gateway;
mod latest;
mod link;
mod logging;
mod motion;
mod objects;
mod outbox;
mod picture;
mod pictures;
mod polygon;
mod privacy;
mod region;
mod runtime;
mod source;
mod subscribe;
mod threads;
mod track;
mod uplink;
mod voice;
mod zones;

pub use agent::{AgentError, run};
pub use annotate::annotate;
pub use capture::CaptureError;
pub use config::{
    Config, ConfigError, DerivedStream, DeviceConfig, FirstSnapshot, FramesConfig, GatewayConfig,
    LogFormat, MasksConfig, ModelConfig, MotionConfig, RegionsConfig, RunArgs, Settings,
    SnapshotsConfig, SnapshotsWhen, SourceConfig, TrackingConfig,
};
pub use data::{DataDir, DataError, DataLock};
pub use detect::{
    Candidate, Confidence, ConfidenceError, DetectError, Detector, Expected, Family, Filter,
    FilterError, FilterRules, Found, LabelLimits, LabelsError, Layout, LayoutError, Limits,
    ModelError, ModelOptions, Overlap, PixelBox, Preparation, Prepared, Provider, ProviderError,
    Shape, Size, SizeError,
};
pub use eye::EyeError;
pub use gateway::{Gateway, GatewayError};
pub use objects::ObjectRules;
pub use picture::{Picture, PictureError};
pub use polygon::{Polygon, PolygonError};
pub use runtime::{LibrarySum, LibrarySumError, Runtime, RuntimeError, RuntimeOptions};
pub use source::{
    CameraUrl, CameraUrlError, Decoder, FolderSource, Frame, FrameSource, HttpError, HttpSource,
    Playback, Scene, SceneSource, SourceCounters, SourceError, SourceFigures, SourceOptions,
    SourceSpec, SourceSpecError, StillSource, Transport, Truth, VideoError, VideoInput,
    VideoSource,
};
#[cfg(feature = "native-rtsp")]
pub use source::{RtspError, RtspSource};
pub use threads::{Threads, ThreadsError};
pub use track::{TrackId, Tracked, Tracker, TrackerOptions, TrackerOptionsError, Update};
pub use voice::{Draft, Signed, Voice, VoiceError, detected, now_us};
pub use zones::Zone;
