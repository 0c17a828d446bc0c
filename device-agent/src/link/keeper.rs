//! Who runs the spool's errands, one after the other, off the async threads.

use std::future;
use std::path::PathBuf;
use std::time::Duration;

use ashya_protocol::{DeviceId, StreamName};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::causes::causes;
use crate::spool::{Errand, Held, Spool, SpoolError, SpoolLimits, Turned};

/// Wait before a disk that failed is tried again: a full one is not emptied by asking.
const RETRY: Duration = Duration::from_secs(5);

/// Where the spool lies, and how much of it there may be.
#[derive(Debug, Clone)]
pub(crate) struct SpoolPlace {
    pub(crate) folder: PathBuf,
    pub(crate) device: DeviceId,
    pub(crate) limits: SpoolLimits,
}

impl SpoolPlace {
    /// Opens the spool.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn open(&self) -> Result<Spool, SpoolError> {
        Spool::open(&self.folder, self.device, self.limits)
    }
}

/// The spool, or what there is instead of it.
#[derive(Debug)]
pub(super) struct Keeper {
    place: SpoolPlace,
    state: State,
    held: Held,
    /// Whether the log says already that the disk fails.
    complained: bool,
}

#[derive(Debug)]
enum State {
    Idle(Box<Spool>),
    Busy(JoinHandle<Job>),
    /// The disk failed; it is tried again after this.
    Away(Instant),
}

/// What came of an errand.
#[derive(Debug)]
struct Job {
    errand: Errand,
    outcome: Result<(Box<Spool>, Done), SpoolError>,
}

impl Job {
    fn opened(spool: Box<Spool>) -> Self {
        let streams = spool.streams();
        Self {
            errand: Errand::default(),
            outcome: Ok((spool, Done::Opened(streams))),
        }
    }
}

#[derive(Debug)]
enum Done {
    /// The spool was opened, and has events of these streams.
    Opened(Vec<StreamName>),
    Turned(Turned),
}

/// What the outbox has to know.
#[derive(Debug)]
pub(super) enum Report {
    /// There is a spool now, with events of these streams.
    Opened(Vec<StreamName>),
    /// An errand is done.
    Turned(Turned),
    /// An errand is not done.
    Failed(Errand),
}

impl Keeper {
    /// A keeper that opens its spool when it is first asked, unless it is given one that is open.
    pub(super) fn new(place: SpoolPlace, opened: Option<Box<Spool>>) -> Self {
        let state = match opened {
            Some(spool) => State::Busy(spawn_blocking(move || Job::opened(spool))),
            None => State::Away(Instant::now()),
        };
        Self {
            place,
            state,
            held: Held::default(),
            complained: false,
        }
    }

    /// Whether it takes an errand now. It never does while the disk fails.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    /// Whether there is no disk to speak of.
    pub(super) const fn is_away(&self) -> bool {
        matches!(self.state, State::Away(_))
    }

    /// What the spool holds.
    pub(super) const fn held(&self) -> Held {
        self.held
    }

    /// Starts to open the spool where it is time to try.
    pub(super) fn try_to_open(&mut self) {
        if matches!(self.state, State::Away(until) if until <= Instant::now()) {
            let place = self.place.clone();
            self.state = State::Busy(spawn_blocking(move || match place.open() {
                Ok(spool) => Job::opened(Box::new(spool)),
                Err(error) => Job {
                    errand: Errand::default(),
                    outcome: Err(error),
                },
            }));
        }
    }

    /// Starts an errand. Only for one who [is idle](Self::is_idle).
    pub(super) fn start(&mut self, errand: Errand) {
        let away = State::Away(Instant::now());
        match std::mem::replace(&mut self.state, away) {
            State::Idle(mut spool) => {
                self.state = State::Busy(spawn_blocking(move || {
                    let turned = spool.turn(&errand);
                    Job {
                        errand,
                        outcome: turned.map(|turned| (spool, Done::Turned(turned))),
                    }
                }));
            }
            other => self.state = other,
        }
    }

    /// Waits until what was started is done; for ever where nothing was. Safe to drop while it waits.
    pub(super) async fn done(&mut self) -> Report {
        let State::Busy(job) = &mut self.state else {
            return future::pending().await;
        };
        let job = job.await.unwrap_or_else(|_| Job {
            errand: Errand::default(),
            outcome: Err(SpoolError::Panicked),
        });
        match job.outcome {
            Ok((spool, done)) => {
                self.held = spool.held();
                self.state = State::Idle(spool);
                if std::mem::take(&mut self.complained) {
                    info!("the disk takes events again");
                }
                match done {
                    Done::Opened(streams) => Report::Opened(streams),
                    Done::Turned(turned) => Report::Turned(turned),
                }
            }
            Err(error) => {
                self.state = State::Away(Instant::now() + RETRY);
                // Once: it is tried again until it works.
                if !std::mem::replace(&mut self.complained, true) {
                    warn!(
                        path = %self.place.folder.display(), error = %causes(&error),
                        "events are kept in memory alone until the disk takes them; make room on it, or mend its rights"
                    );
                }
                Report::Failed(job.errand)
            }
        }
    }
}
