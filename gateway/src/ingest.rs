//! The checks that every event passes before anybody sees it.
//!
//! ```text
//!  bytes ─► size ─► envelope ─► signature ─► device ─► stream ─► time ─► position ─► Hub
//!                                                                           └─► disk ─► acknowledgement
//! ```
//!
//! Recovering a signer takes tens of microseconds, so a few threads of its own do the work, and bring the events to
//! their watchers. All events of a device go to the same thread, in the order in which they came, and wait there while
//! those before them are delivered: a device that sends faster than its watchers can be served is slowed down, and what
//! has gathered meanwhile goes out together, before whoever published is told. Watchers do not wait for the disk;
//! whoever published does, and one flush serves all who wait.

mod checks;
mod group;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use ashya_protocol::{DeviceId, Domain, FeedId, Notice, Position, StreamName};
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chain_clock::ChainClock;
use crate::hub::{Hub, Message, Moment, Now};
use crate::ledger_index::LedgerIndex;
use crate::metrics::{Metrics, Rejection};
use crate::outage::Heard;
use crate::positions::{Batch, Keep, NotTaken, Positions, Taken};
use crate::previews::Previews;
use crate::registry::Registry;

use checks::{Expected, check};
use group::Group;

/// Events that may wait for one verifying thread; beyond, the devices wait.
const QUEUE: usize = 256;
/// Bytes of events that may wait for all threads together: some thirty of the largest, or full queues of ordinary ones.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
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
    /// Where streams are noted as heard.
    pub heard: Heard,
    /// Where pictures wait to be shown.
    pub previews: Previews,
    /// Where events are counted.
    pub metrics: Metrics,
}

/// The door for events. Cheap to clone; its threads end with the last clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    threads: Arc<[mpsc::Sender<Job>]>,
    room: Arc<Semaphore>,
    positions: Positions,
    ended: CancellationToken,
}

/// What a verdict promises to whoever published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// It holds after a kill or a power cut too: QoS 1, whose acknowledgement lets the device forget the event.
    Durable,
    /// It holds while the gateway runs: QoS 0, which nobody acknowledges.
    Fleeting,
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

impl Verdict {
    /// What the device is told, on `down/notice`, about an event of `stream`; nothing when it was accepted.
    pub(crate) fn notice(self, stream: StreamName) -> Option<Notice> {
        match self {
            Self::Accepted => None,
            Self::Refused { reason, position } => Some(Notice {
                stream,
                boot: position.map(|position| position.boot),
                seq: position.map(|position| position.seq),
                reason: reason.as_str().into(),
            }),
        }
    }
}

/// The verifying threads are gone: the gateway is shutting down. The event was neither accepted nor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("events are no longer taken")]
pub struct IngestClosed;

#[derive(Debug)]
struct Job {
    expected: Expected,
    envelope: Bytes,
    decision: oneshot::Sender<Decision>,
    room: OwnedSemaphorePermit,
}

/// A verdict, and what has to be on the disk before it is durable.
#[derive(Debug, Clone, Copy)]
struct Decision {
    verdict: Verdict,
    batch: Option<Batch>,
}

/// What the verifying threads share. The last of them closes the positions.
#[derive(Debug)]
struct Work(IngestParts);

impl Ingest {
    /// Starts the verifying threads, and the one that brings positions to the disk.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(parts: IngestParts) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let positions = parts.positions.clone();
        let work = Arc::new(Work(parts));
        let threads = (0..cores.min(MAX_THREADS))
            .map(|number| {
                let (jobs, queue) = mpsc::channel(QUEUE);
                let work = work.clone();
                thread::Builder::new()
                    .name(format!("ingest-{number}"))
                    .spawn(move || work.run(queue))?;
                Ok(jobs)
            })
            .collect::<io::Result<_>>()?;
        let ended = CancellationToken::new();
        let (writer, last_word) = (positions.clone(), ended.clone().drop_guard());
        thread::Builder::new()
            .name("positions".into())
            .spawn(move || {
                writer.keep_writing();
                drop(last_word);
            })?;
        Ok(Self {
            threads,
            room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
            positions,
            ended,
        })
    }

    /// Waits until the last clone is gone, everything taken is decided, and every position is on the disk.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ended.clone().cancelled_owned()
    }

    /// Takes an envelope that `device` published on `stream`, and gives back the verdict to come: nothing when the
    /// gateway ends before it. Waits while too many others wait, or too large ones. Events of a device are decided in
    /// the order of these calls.
    ///
    /// # Errors
    /// When the gateway is shutting down.
    pub async fn submit(
        &self,
        device: DeviceId,
        stream: StreamName,
        envelope: Bytes,
        promise: Promise,
    ) -> Result<impl Future<Output = Option<Verdict>> + Send + use<>, IngestClosed> {
        // Whoever gives more at once than there may ever be gets all of it.
        let bytes = envelope.len().min(MAX_WAITING_BYTES) as u32;
        let room = self.room.clone().acquire_many_owned(bytes).await;
        let (decision, decided) = oneshot::channel();
        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        // The remainder is below the number of threads, so it fits.
        let thread = (hasher.finish() % self.threads.len() as u64) as usize;
        let job = Job {
            expected: Expected { device, stream },
            envelope,
            decision,
            room: room.map_err(|_| IngestClosed)?,
        };
        self.threads[thread]
            .send(job)
            .await
            .map_err(|_| IngestClosed)?;
        let positions = self.positions.clone();
        Ok(async move {
            let Decision { verdict, batch } = decided.await.ok()?;
            let on_disk = match batch.filter(|_| promise == Promise::Durable) {
                Some(batch) => positions.written(batch).await,
                None => true,
            };
            on_disk.then_some(verdict)
        })
    }
}

impl Work {
    fn run(&self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let (mut accepted, mut decided) = (Vec::new(), Vec::new());
            let mut group = Group::default();
            let more = std::iter::from_fn(|| queue.try_recv().ok());
            for job in std::iter::once(first).chain(more) {
                group.add(&job.expected.stream, &job.envelope);
                let decision = decide(
                    &self.0,
                    &job.expected,
                    &job.envelope,
                    job.room,
                    &mut accepted,
                );
                decided.push((job.decision, decision));
                if group.is_full() {
                    break;
                }
            }
            self.0.hub.publish(&accepted, || self.now());
            // Only now: whoever published several wakes for most of them at once, and takes no time from those who watch.
            for (publisher, decision) in decided {
                // One that has gone no longer wants to know.
                let _ = publisher.send(decision);
            }
        }
    }
}

impl Work {
    fn now(&self) -> Now {
        Now {
            clock: self.0.clock.read(),
            ledger: self.0.index.version(),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.positions.close();
    }
}

fn decide(
    parts: &IngestParts,
    expected: &Expected,
    envelope: &Bytes,
    room: OwnedSemaphorePermit,
    accepted: &mut Vec<Arc<Message>>,
) -> Decision {
    let now = parts.clock.now_seconds();
    let registered = |stream: &StreamName| {
        let device = parts.registry.device(expected.device);
        device.is_some_and(|device| device.streams.contains(stream))
    };
    // What refuses a replay has to be on the disk before the device may forget the event.
    let mut known_in = None;
    let outcome = check(envelope, expected, &parts.domain, now, registered).and_then(|verified| {
        let event = verified.event();
        let position = event.position;
        let feeds = parts.index.feeds_of_device(expected.device);
        let moment = moment(&parts.index, &feeds, now);
        // What nobody can buy would only take the place of what others have bought.
        let kept = !feeds.is_empty() && parts.positions.kept().keeps(&event.stream);
        let keep = kept.then(|| Keep {
            at: now,
            feeds: feeds.clone(),
            envelope: envelope.clone(),
            room: Some(room),
        });
        let positions = &parts.positions;
        match positions.accept(event.device, &event.stream, position, keep) {
            Ok(taken) => Ok((verified, taken, moment)),
            Err(NotTaken::Replayed { batch }) => {
                known_in = Some(batch);
                Err((Rejection::Replayed, Some(position)))
            }
            Err(NotTaken::Streams) => Err((Rejection::Stream, Some(position))),
        }
    });
    match outcome {
        Ok((verified, Taken { gap, batch }, moment)) => {
            let event = verified.event();
            parts
                .heard
                .note(event.device, &event.stream, Instant::now());
            parts.previews.see(event, &parts.index, Instant::now(), now);
            let message = Message::new(verified, envelope, gap, moment);
            accepted.push(Arc::new(message));
            parts.metrics.events_accepted.inc();
            Decision {
                verdict: Verdict::Accepted,
                batch: Some(batch),
            }
        }
        Err((reason, position)) => {
            parts.metrics.rejected(reason);
            tracing::debug!(
                device.id = %expected.device,
                stream = %expected.stream,
                reason = reason.as_str(),
                "event refused"
            );
            Decision {
                verdict: Verdict::Refused { reason, position },
                batch: known_in,
            }
        }
    }
}

/// What the clocks of the `feeds` show.
fn moment(index: &LedgerIndex, feeds: &[FeedId], now: u64) -> Moment {
    let mut moment = Moment {
        at: now,
        ..Moment::default()
    };
    for feed in feeds.iter().filter_map(|id| index.feed(*id)) {
        if feed.clock.paused_at.is_some() {
            moment.paused.push(feed.id);
        } else {
            let time = feed.clock.feed_time(now);
            moment.feed_times.push((feed.id, time));
        }
    }
    moment
}

#[cfg(test)]
mod tests;
