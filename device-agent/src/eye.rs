//! The threads that look: one takes frames, one runs the model, signs and hands on.
//!
//! ```text
//!  source ─capture─► latest frame ─look─► bounded queue ─► link
//! ```
//!
//! A slow model sees fewer frames, never older ones.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ashya_protocol::TimeUs;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::{FramesConfig, SourceConfig};
use crate::demand::Demand;
use crate::detect::{Confidence, Detector, Overlap};
use crate::latest::Latest;
use crate::picture::Picture;
use crate::source::{FrameSource, Playback, SourceError};
use crate::uplink::{Parcel, Uplink};
use crate::voice::{Draft, Signed, Voice, detected, now_us};

/// Longest sleep without a look at whether it is time to stop.
const NAP: Duration = Duration::from_millis(50);

/// How to look.
#[derive(Debug, Clone)]
pub(crate) struct Gaze {
    pub(crate) source: SourceConfig,
    pub(crate) frames: FramesConfig,
    pub(crate) confidence: Confidence,
}

/// What the eye hands on.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The picture; worth sending only at once.
    pub(crate) frame: Option<Signed>,
    /// What must arrive, in order.
    pub(crate) events: Vec<Signed>,
}

impl From<Sight> for Parcel {
    fn from(sight: Sight) -> Self {
        Self {
            picture: sight.frame,
            events: sight.events,
        }
    }
}

/// The running threads.
pub(crate) struct Eye {
    capture: JoinHandle<()>,
    look: JoinHandle<()>,
}

struct Captured {
    time_us: TimeUs,
    picture: Picture,
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
        stop: CancellationToken,
    ) -> Result<Self, EyeError> {
        let source = gaze
            .source
            .spec
            .open(Playback::Live(gaze.source.interval), &stop)?;
        let latest = Latest::new();
        let (put, take) = (latest.clone(), latest);
        let capturing = gaze.clone();
        let capture = thread::Builder::new()
            .name("capture".into())
            .spawn(move || {
                capture(source, &capturing, &put, &stop);
                put.close();
            })
            .map_err(EyeError::Thread)?;
        let look = thread::Builder::new()
            .name("look".into())
            .spawn(move || {
                Looker {
                    gaze,
                    detector,
                    voice,
                    demand,
                    shown: None,
                }
                .run(&take, &uplink);
                take.close();
            })
            .map_err(EyeError::Thread)?;
        Ok(Self { capture, look })
    }

    /// Waits until both threads have ended; blocks.
    pub(crate) fn join(self) {
        for thread in [self.capture, self.look] {
            if thread.join().is_err() {
                warn!("a thread of the eye panicked");
            }
        }
    }
}

/// Why the eye does not open.
#[derive(Debug, thiserror::Error)]
pub enum EyeError {
    /// The source yields nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// Puts a frame into `latest` each interval until told to stop. A source that fails is opened again.
fn capture(
    mut source: Box<dyn FrameSource>,
    gaze: &Gaze,
    latest: &Latest<Captured>,
    stop: &CancellationToken,
) {
    let mut due = Instant::now();
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let captured = match source.next_frame() {
            Ok(Some(frame)) => {
                backoff.reset();
                now_us().map(|time_us| Captured {
                    time_us,
                    picture: frame.picture,
                })
            }
            // Told to stop while it waited.
            Ok(None) if stop.is_cancelled() => break,
            Ok(None) => {
                info!(source = %gaze.source.spec, "the source has ended; opening it again");
                reopen(&mut source, gaze, &mut backoff, stop);
                continue;
            }
            Err(error) => {
                warn!(error = %causes(&error), "no frame");
                if error.is_fatal() {
                    reopen(&mut source, gaze, &mut backoff, stop);
                } else {
                    nap_until(Instant::now() + gaze.source.interval, stop);
                }
                continue;
            }
        };
        match captured {
            Ok(captured) => {
                if !latest.put(captured) {
                    return;
                }
            }
            Err(error) => warn!(%error, "the clock is wrong; frame skipped"),
        }
        // A late frame does not make the next ones hurry.
        due = (due + gaze.source.interval).max(Instant::now());
        nap_until(due, stop);
    }
    debug!(dropped = latest.dropped(), "capture has ended");
}

fn reopen(
    source: &mut Box<dyn FrameSource>,
    gaze: &Gaze,
    backoff: &mut Backoff,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        nap_until(Instant::now() + backoff.next_wait(), stop);
        match gaze
            .source
            .spec
            .open(Playback::Live(gaze.source.interval), stop)
        {
            Ok(opened) => {
                *source = opened;
                return;
            }
            Err(error) => warn!(error = %causes(&error), "the source cannot be opened"),
        }
    }
}

fn nap_until(due: Instant, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let rest = due.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        thread::sleep(rest.min(NAP));
    }
}

struct Looker {
    gaze: Gaze,
    detector: Detector,
    voice: Voice,
    demand: Demand,
    /// When a picture was last published.
    shown: Option<Instant>,
}

impl Looker {
    fn run(&mut self, latest: &Latest<Captured>, uplink: &Uplink) {
        while let Some(captured) = latest.take() {
            if let Some(sight) = self.look(&captured)
                && uplink.send_blocking(sight).is_err()
            {
                return;
            }
        }
    }

    /// Finds the objects and signs them, with the picture where somebody watches it.
    fn look(&mut self, captured: &Captured) -> Option<Sight> {
        let Captured { time_us, picture } = captured;
        let found = self
            .detector
            .detect(picture, self.gaze.confidence, Overlap::CALM)
            .inspect_err(|error| warn!(%error, "picture skipped"))
            .ok()?;
        let objects = found
            .iter()
            .map(|object| detected(object, self.detector.label(object.class), picture))
            .collect();
        let frame = if self.frame_is_due() {
            self.frame(captured)
        } else {
            None
        };
        let info = self.detector.info();
        let detections = self
            .voice
            .detections(*time_us, info, picture, frame.as_ref(), objects)
            .inspect_err(|error| warn!(error = %causes(error), "detections skipped"))
            .ok()?;
        // Only now is the picture sure to be published, and its number used up.
        let frame = frame.map(|draft| {
            self.shown = Some(Instant::now());
            self.voice.commit(draft)
        });
        Some(Sight {
            frame,
            events: vec![detections],
        })
    }

    fn frame(&self, captured: &Captured) -> Option<Draft> {
        let jpeg = captured
            .picture
            .to_jpeg(self.gaze.frames.quality)
            .inspect_err(|error| warn!(%error, "picture not published"))
            .ok()?;
        self.voice
            .frame(captured.time_us, jpeg)
            .inspect_err(|error| warn!(error = %causes(error), "picture not published"))
            .ok()
    }

    fn frame_is_due(&self) -> bool {
        // Half a frame of slack, or a picture that comes a moment early would wait for the next.
        let rest = self
            .gaze
            .frames
            .interval
            .saturating_sub(self.gaze.source.interval / 2);
        self.demand.wants_frames() && self.shown.is_none_or(|shown| shown.elapsed() >= rest)
    }
}
