//! The eye of Ashya: frames in, signed events out.
//!
//! ```text
//!  source ─► detect ─► voice ──uplink─► link ──MQTT──► gateway
//!  frames    objects   signed events    outbox, demand    ▲
//!                       ▲                 └► spool        │
//!              status ──┘               gateway ──REST────┘ register, credentials
//! ```
//!
//! Capture and inference have a thread each and share only the latest frame; the link lives on the async runtime
//! and keeps what was not acknowledged, on the disk where that takes long.

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
mod device;
mod environment;
mod eye;
mod fractions;
mod gateway;
mod latest;
mod link;
mod logging;
mod looked;
mod metrics;
mod motion;
mod objects;
mod outbox;
mod picture;
mod pictures;
mod polygon;
mod privacy;
mod publish;
mod region;
mod runtime;
mod source;
mod spool;
mod status;
mod subscribe;
mod threads;
mod track;
mod trust;
mod uplink;
mod voice;
mod zones;

pub use agent::{AgentError, run};
pub use annotate::annotate;
pub use capture::CaptureError;
pub use config::{
    Config, ConfigError, DerivedStream, DeviceConfig, FirstSnapshot, FramesConfig, GatewayConfig,
    LogFormat, MasksConfig, ModelConfig, MotionConfig, RegionsConfig, RunArgs, Settings,
    SnapshotsConfig, SnapshotsWhen, SourceConfig, SpoolConfig, StatusConfig, TrackingConfig,
};
pub use data::{DataDir, DataError, DataLock};
pub use detect::{
    Candidate, Confidence, ConfidenceError, DetectError, Detector, Expected, Family, Filter,
    FilterError, FilterRules, Found, LabelLimits, LabelsError, Layout, LayoutError, Limits,
    ModelError, ModelOptions, Overlap, PixelBox, Preparation, Prepared, Provider, ProviderError,
    Shape, Size, SizeError,
};
pub use device::DeviceError;
pub use environment::{EnvironmentError, settle_environment};
pub use eye::EyeError;
pub use fractions::detected;
pub use gateway::{Gateway, GatewayError};
pub use metrics::MetricsError;
pub use objects::ObjectRules;
pub use picture::{Picture, PictureError};
pub use polygon::{Polygon, PolygonError};
pub use publish::PublishError;
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
pub use trust::{Trust, TrustError};
pub use voice::{Draft, Kind, Signed, Voice, VoiceError, now_us};
pub use zones::Zone;
