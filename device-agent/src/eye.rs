//! The threads that look: one takes frames, one runs the model, signs and hands on.
//!
//! ```text
//!  source ─capture─► latest frame ─look─► bounded queue ─► link
//!
//!  look: masks ─► gate ─► search ─► publisher
//!        burnt    what    regions,  detections, derived
//!        black    moves   model     streams, frames
//! ```
//!
//! A slow model sees fewer frames, never older ones. Where nothing moves, the model does not run, and what was seen last
//! stands.

use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::capture::{Capture, CaptureError};
use crate::config::{
    DerivedStream, FramesConfig, MasksConfig, MotionConfig, RegionsConfig, SourceConfig,
    TrackingConfig,
};
use crate::demand::Demand;
use crate::detect::{DetectError, Detector, Filter};
use crate::eye::derived::Derived;
use crate::eye::follower::Follower;
use crate::eye::gate::Gate;
use crate::eye::looker::{Looker, MAX_FAILURES};
use crate::eye::publisher::Publisher;
use crate::eye::search::Search;
use crate::looked::Looked;
use crate::privacy::PrivacyMasks;
use crate::source::SourceCounters;
use crate::track::TrackerOptionsError;
use crate::uplink::Uplink;
use crate::voice::Voice;

mod attention;
mod derived;
mod follower;
mod frames;
mod gate;
mod looker;
mod publisher;
mod search;

/// How to look.
#[derive(Debug, Clone)]
pub(crate) struct Gaze {
    pub(crate) source: SourceConfig,
    pub(crate) masks: MasksConfig,
    /// Every picture is looked at where there is none.
    pub(crate) motion: Option<MotionConfig>,
    /// Every picture is looked at as a whole where there is none.
    pub(crate) regions: Option<RegionsConfig>,
    /// Nothing is followed where there is none.
    pub(crate) tracking: Option<TrackingConfig>,
    pub(crate) frames: FramesConfig,
    pub(crate) derived: Vec<DerivedStream>,
    pub(crate) filter: Filter,
}

/// The running threads.
pub(crate) struct Eye {
    capture: Capture,
    look: JoinHandle<Result<(), DetectError>>,
    ended: CancellationToken,
}

impl Gaze {
    fn looker(
        self,
        detector: Detector,
        voice: Voice,
        demand: Demand,
        looked: Looked,
    ) -> Result<Looker, TrackerOptionsError> {
        let regions = self.regions.as_ref();
        let gate = |motion| Gate::new(motion, &self.masks, regions);
        let frames = (self.frames, self.source.interval);
        let derived = self.derived.into_iter().map(Derived::new).collect();
        let follow = |config| {
            let (voice, demand) = (voice.clone(), demand.clone());
            Follower::new(config, &self.filter, voice, demand, looked.clone())
        };
        Ok(Looker {
            follower: self.tracking.map(follow).transpose()?,
            gate: self.motion.as_ref().map(gate),
            masks: PrivacyMasks::new(self.masks.privacy),
            search: Search::new(self.regions),
            publisher: Publisher::new(voice, demand, detector.info().clone(), frames, derived),
            detector,
            filter: self.filter,
            looked,
            seen: Vec::new(),
            failures: 0,
        })
    }
}

impl Eye {
    /// Starts to look, and hands what it sees to `uplink` until `stop`.
    ///
    /// # Errors
    /// When the source cannot be opened or a thread not started.
    pub(crate) fn open(
        gaze: Gaze,
        detector: Detector,
        voice: Voice,
        demand: Demand,
        uplink: Uplink,
        looked: Looked,
        stop: CancellationToken,
    ) -> Result<Self, EyeError> {
        let mut looker = gaze.clone().looker(detector, voice, demand, looked)?;
        let capture = Capture::start(gaze.source, stop)?;
        let take = capture.latest();
        let ended = CancellationToken::new();
        let last_word = ended.clone().drop_guard();
        let look = thread::Builder::new()
            .name("look".into())
            .spawn(move || {
                let looked = looker.run(&take, &uplink);
                take.close();
                drop(last_word);
                looked
            })
            .map_err(EyeError::Thread)?;
        Ok(Self {
            capture,
            look,
            ended,
        })
    }

    /// Is cancelled once nothing is looked at any more.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// What happened to the source so far.
    pub(crate) fn source_counters(&self) -> SourceCounters {
        self.capture.counters()
    }

    /// Waits until both threads have ended; blocks.
    ///
    /// # Errors
    /// When they ended because the model cannot be used any more.
    pub(crate) fn join(self) -> Result<(), EyeError> {
        self.capture.join();
        match self.look.join() {
            Ok(looked) => looked.map_err(EyeError::Model),
            Err(_) => {
                warn!("a thread of the eye panicked");
                Ok(())
            }
        }
    }
}

/// Why the eye does not open, or does not stay open.
#[derive(Debug, thiserror::Error)]
pub enum EyeError {
    /// The source yields nothing.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Nothing can be followed.
    #[error("tracking: {0}")]
    Tracking(#[from] TrackerOptionsError),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The model does not work any more.
    #[error(
        "given up after {MAX_FAILURES} failures of the model in a row; restart, or try another `file` in [model]"
    )]
    Model(#[source] DetectError),
}

#[cfg(test)]
mod tests;
