//! The checks that every event passes before anybody sees it.
//!
//! ```text
//!  bytes ─► size ─► envelope ─► signature ─► device ─► stream ─► time ─► position ─► Hub
//! ```
//!
//! Recovering a signer takes tens of microseconds, so a few threads of its own do the work. All events of a device
//! go to the same thread, in the order in which they came.

mod checks;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use ashya_protocol::{DeviceId, Domain, Position, StreamName};
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::chain_clock::ChainClock;
use crate::hub::{Hub, Message, Moment};
use crate::ledger_index::LedgerIndex;
use crate::metrics::{Metrics, Rejection};
use crate::positions::Positions;
use crate::registry::Registry;

use checks::{Expected, check};

/// Events that may wait for one verifying thread; beyond, the devices wait.
const QUEUE: usize = 256;
/// Most verifying threads: each does more than 10,000 events a second.
const MAX_THREADS: usize = 4;

/// What the checks need to know.
#[derive(Debug, Clone)]
pub struct IngestParts {
    /// The domain of every signature.
    pub domain: Domain,
    /// Which devices and streams there are.
    pub registry: Registry,
    /// The last accepted position of each stream.
    pub positions: Positions,
    /// The feeds of each device.
    pub index: LedgerIndex,
    /// The time.
    pub clock: ChainClock,
    /// Where accepted events go.
    pub hub: Hub,
    /// Where events are counted.
    pub metrics: Metrics,
}

/// The door for events. Cheap to clone; its threads end with the last clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    threads: Arc<[mpsc::Sender<Job>]>,
}

/// What became of an event; final either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everybody who may see it gets it.
    Accepted,
    /// Nobody sees it.
    Refused {
        /// Why.
        reason: Rejection,
        /// Its position, as far as it could be read.
        position: Option<Position>,
    },
}

/// The verifying threads are gone: the gateway is shutting down. The event was neither accepted nor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("events are no longer taken")]
pub struct IngestClosed;

#[derive(Debug)]
struct Job {
    expected: Expected,
    envelope: Bytes,
    verdict: oneshot::Sender<Verdict>,
}

impl Ingest {
    /// Starts the verifying threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(parts: IngestParts) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let parts = Arc::new(parts);
        let threads = (0..cores.min(MAX_THREADS))
            .map(|number| {
                let (jobs, queue) = mpsc::channel(QUEUE);
                let parts = parts.clone();
                thread::Builder::new()
                    .name(format!("ingest-{number}"))
                    .spawn(move || work(&parts, queue))?;
                Ok(jobs)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { threads })
    }

    /// Takes an envelope that `device` published on `stream`, and gives back where the verdict will arrive. Waits
    /// while too many others wait. Events of a device are decided in the order of these calls.
    ///
    /// # Errors
    /// When the gateway is shutting down.
    pub async fn submit(
        &self,
        device: DeviceId,
        stream: StreamName,
        envelope: Bytes,
    ) -> Result<oneshot::Receiver<Verdict>, IngestClosed> {
        let (verdict, receiver) = oneshot::channel();
        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        // The remainder is below the number of threads, so it fits.
        let thread = (hasher.finish() % self.threads.len() as u64) as usize;
        let job = Job {
            expected: Expected { device, stream },
            envelope,
            verdict,
        };
        self.threads[thread]
            .send(job)
            .await
            .map_err(|_| IngestClosed)?;
        Ok(receiver)
    }
}

fn work(parts: &IngestParts, mut queue: mpsc::Receiver<Job>) {
    while let Some(job) = queue.blocking_recv() {
        let verdict = decide(parts, &job.expected, job.envelope);
        // A session that has gone no longer wants to know.
        let _ = job.verdict.send(verdict);
    }
}

fn decide(parts: &IngestParts, expected: &Expected, envelope: Bytes) -> Verdict {
    let now = parts.clock.now_seconds();
    let registered = |stream: &StreamName| {
        let device = parts.registry.device(expected.device);
        device.is_some_and(|device| device.streams.contains(stream))
    };
    let outcome = check(&envelope, expected, &parts.domain, now, registered).and_then(|verified| {
        let event = verified.event();
        let position = event.position;
        match parts
            .positions
            .accept(event.device, &event.stream, position)
        {
            Ok(gap) => Ok((verified, gap)),
            Err(_) => Err((Rejection::Replayed, Some(position))),
        }
    });
    match outcome {
        Ok((verified, gap)) => {
            let moment = moment(&parts.index, expected.device, now);
            parts
                .hub
                .publish(Message::new(verified, envelope, gap, moment));
            parts.metrics.events_accepted.inc();
            Verdict::Accepted
        }
        Err((reason, position)) => {
            parts.metrics.rejected(reason);
            tracing::debug!(
                device.id = %expected.device,
                stream = %expected.stream,
                reason = reason.as_str(),
                "event refused"
            );
            Verdict::Refused { reason, position }
        }
    }
}

/// The feed time of each feed that sells the device and whose clock runs.
fn moment(index: &LedgerIndex, device: DeviceId, now: u64) -> Moment {
    let feeds = index.feeds_of_device(device).into_iter();
    let running = feeds
        .filter_map(|id| index.feed(id))
        .filter(|feed| feed.clock.paused_at.is_none());
    Moment {
        feed_times: running
            .map(|feed| (feed.id, feed.clock.feed_time(now)))
            .collect(),
    }
}
