//! The thread that takes frames from the source and keeps the newest.
//!
//! ```text
//!  source ─► capture ─► latest frame ─► whoever looks
//!    ▲          │
//!    └──────────┘ opened again when it ends, fails or stalls
//! ```

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ashya_protocol::TimeUs;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::config::SourceConfig;
use crate::latest::{Latest, Put};
use crate::picture::Picture;
use crate::source::{FrameSource, Playback, SourceCounters, SourceError};
use crate::voice::now_us;

use self::health::{Damage, Health};

mod health;

/// Longest sleep without a look at whether it is time to stop.
const NAP: Duration = Duration::from_millis(250);
/// Longest wait before a source is opened again. With the default watchdog of 20 s a camera that comes back is seen
/// within 25 s, even when an attempt hangs that began just before.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A frame and when it came.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) time_us: TimeUs,
    pub(crate) picture: Picture,
}

/// Why nothing can be captured.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The source yields nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The running thread.
pub(crate) struct Capture {
    latest: Latest<Captured>,
    counters: SourceCounters,
    thread: JoinHandle<()>,
}

impl Capture {
    /// Opens the source and takes frames from it until `stop`, or until [`Self::latest`] is closed.
    ///
    /// # Errors
    /// When the source cannot be opened the first time, or the thread not started.
    pub(crate) fn start(
        config: SourceConfig,
        stop: CancellationToken,
    ) -> Result<Self, CaptureError> {
        let counters = SourceCounters::default();
        let source = open(&config, &counters, &stop)?;
        let latest = Latest::new();
        let capturing = Capturing {
            config,
            latest: latest.clone(),
            counters: counters.clone(),
            stop,
        };
        let thread = thread::Builder::new()
            .name("capture".into())
            .spawn(move || capturing.run(source))
            .map_err(CaptureError::Thread)?;
        Ok(Self {
            latest,
            counters,
            thread,
        })
    }

    /// Where the newest frame lies; closed when the thread ends.
    pub(crate) fn latest(&self) -> Latest<Captured> {
        self.latest.clone()
    }

    /// What happened to the source so far.
    pub(crate) fn counters(&self) -> SourceCounters {
        self.counters.clone()
    }

    /// Waits until the thread has ended; blocks.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            warn!("capture panicked");
        }
    }
}

struct Capturing {
    config: SourceConfig,
    latest: Latest<Captured>,
    counters: SourceCounters,
    stop: CancellationToken,
}

impl Drop for Capturing {
    /// Whoever looks must not wait for a thread that is gone, also when it panicked.
    fn drop(&mut self) {
        self.latest.close();
    }
}

impl Capturing {
    fn run(self, mut source: Box<dyn FrameSource>) {
        let mut due = Instant::now();
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        let patience = self.config.options.watchdog + self.config.interval;
        let mut health = Health::new(patience, Instant::now());
        while !self.stop.is_cancelled() {
            match source.next_frame() {
                Ok(Some(frame)) => {
                    backoff.reset();
                    health.whole(Instant::now());
                    self.counters.frame();
                    if !self.hand_on(frame.picture) {
                        break;
                    }
                }
                // Told to stop while it waited.
                Ok(None) if self.stop.is_cancelled() => break,
                Ok(None) => {
                    info!(source = %self.config.spec, "the source has ended; opening it again");
                    self.reopen(&mut source, &mut backoff, &mut health);
                    continue;
                }
                Err(error) if error.is_fatal() => {
                    warn!(source = %self.config.spec, error = %causes(&error), "no frame");
                    if error.is_stall() {
                        self.counters.stall();
                    }
                    self.reopen(&mut source, &mut backoff, &mut health);
                    continue;
                }
                Err(error) => {
                    self.counters.decode_error();
                    match health.damaged(Instant::now()) {
                        Damage::First => {
                            let error = causes(&error);
                            warn!(source = %self.config.spec, error, "no frame");
                        }
                        Damage::Another => {}
                        Damage::TooLong(damaged) => {
                            let (spec, error) = (&self.config.spec, causes(&error));
                            warn!(source = %spec, damaged, error, "damaged pictures only");
                            self.counters.stall();
                            if source.is_live() {
                                self.reopen(&mut source, &mut backoff, &mut health);
                                continue;
                            }
                            // A folder goes on to its next picture, which a new try would begin before.
                            health.reopened(Instant::now());
                        }
                    }
                    self.nap_until(Instant::now() + self.config.interval);
                    continue;
                }
            }
            if !source.is_live() {
                // A late frame does not make the next ones hurry.
                due = (due + self.config.interval).max(Instant::now());
                self.nap_until(due);
            }
        }
    }

    /// False when nobody looks any more.
    fn hand_on(&self, picture: Picture) -> bool {
        let time_us = match now_us() {
            Ok(time_us) => time_us,
            Err(error) => {
                warn!(%error, "the clock is wrong; frame skipped");
                return true;
            }
        };
        match self.latest.put(Captured { time_us, picture }) {
            Put::Stored => true,
            Put::Replaced => {
                self.counters.dropped();
                true
            }
            Put::Closed => false,
        }
    }

    fn reopen(
        &self,
        source: &mut Box<dyn FrameSource>,
        backoff: &mut Backoff,
        health: &mut Health,
    ) {
        while !self.stop.is_cancelled() {
            self.nap_until(Instant::now() + backoff.next_wait());
            match open(&self.config, &self.counters, &self.stop) {
                Ok(opened) => {
                    self.counters.reconnect();
                    *source = opened;
                    health.reopened(Instant::now());
                    return;
                }
                Err(error) => {
                    let error = causes(&error);
                    warn!(source = %self.config.spec, error, "the source cannot be opened");
                }
            }
        }
    }

    fn nap_until(&self, due: Instant) {
        while !self.stop.is_cancelled() {
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            thread::sleep(rest.min(NAP));
        }
    }
}

/// Opens the source as a device plays it.
///
/// # Errors
/// When it is not there, or yields nothing.
pub(crate) fn open(
    config: &SourceConfig,
    counters: &SourceCounters,
    stop: &CancellationToken,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let playback = Playback::Live(config.interval);
    let options = &config.options;
    config.spec.open_with(playback, options, counters, stop)
}

#[cfg(test)]
mod tests;
