//! Publishes what anything measures: lines, files, or what a command prints.
//!
//! ```text
//!  stdin ──lines─┐
//!  files ────────┼─► sign ─► uplink ─► link ─► gateway
//!  command ──────┘             ▲          │
//!                              └ receipts ┘  a reader waits while too many are open
//! ```

mod command;
mod lines;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use ashya_protocol::limits::MAX_PAYLOAD_BYTES;
use ashya_protocol::{ContentType, Position, StreamName};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::causes::causes;
use crate::config::Config;
use crate::device::{Claim, DeviceError};
use crate::link::LinkFigures;
use crate::outbox::Fate;
use crate::uplink::Uplink;
use crate::voice::{Voice, VoiceError, now_us};
use lines::Line;

/// Events whose receipt may be open; who reads waits for the oldest.
const OPEN: usize = 256;
/// Bytes of them; one event always fits.
const OPEN_BYTES: usize = 4 * 1024 * 1024;
/// Time between two looks at whether all has been sent.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long the disk may take at the end to make the last events safe, where `--wait` is shorter.
const SAFE_LIMIT: Duration = Duration::from_secs(5);
/// A command that takes longer is given up, also where it runs less often.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What to publish, and how.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) stream: StreamName,
    /// Of all events; by the ending of a file, else `text/plain`, where there is none.
    pub(crate) content_type: Option<ContentType>,
    pub(crate) input: Input,
    /// How long to wait at the end until the gateway has everything.
    pub(crate) patience: Duration,
    pub(crate) receipts: Receipts,
}

/// Where the events come from.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// One event a line.
    Stdin,
    /// One event a file.
    Files(Vec<PathBuf>),
    /// One event each time that the command runs: once, or again and again.
    Command(Vec<OsString>, Option<Duration>),
}

/// Whether to print what became of each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipts {
    Print,
    Omit,
}

/// What became of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Events that were signed, and are with the gateway or on the disk.
    pub(crate) safe: u64,
    /// Events that are on the disk, for the next time; of earlier times too.
    pub(crate) waiting: u64,
    /// Events that the gateway does not take.
    pub(crate) refused: u64,
    /// Readings that became no event, or events that had to make room.
    pub(crate) lost: u64,
}

/// Why nothing is published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The device cannot start.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The input cannot be read.
    #[error("cannot read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The link has ended.
    #[error("nothing can be published any more")]
    Ended,
    /// A receipt cannot be printed.
    #[error("cannot print a receipt")]
    Print(#[source] io::Error),
}

/// A line of `--receipts`.
#[derive(Debug, Serialize)]
struct PrintedReceipt<'a> {
    stream: &'a str,
    boot: u64,
    seq: u64,
    fate: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Signs readings and follows what becomes of them.
struct Desk {
    publication: Publication,
    voice: Voice,
    uplink: Uplink,
    open: VecDeque<Open>,
    open_bytes: usize,
    outcome: Outcome,
}

struct Open {
    position: Position,
    bytes: usize,
    fate: oneshot::Receiver<Fate>,
}

/// Publishes until the input ends or `stop`, and waits for what is under way.
///
/// # Errors
/// When the device cannot start, or the input not be read. What was published before is told in the log.
pub(crate) async fn publish(
    config: &Config,
    publication: Publication,
    stop: &CancellationToken,
) -> Result<Outcome, PublishError> {
    let streams = [publication.stream.clone(), status_stream()];
    let claim = Claim::with_earlier_streams(config, streams.into())?;
    let Some(device) = claim.begin(config, stop).await? else {
        return Ok(Outcome::default());
    };
    let mut desk = Desk {
        voice: device.voice.clone(),
        uplink: device.uplink.clone(),
        publication,
        open: VecDeque::new(),
        open_bytes: 0,
        outcome: Outcome::default(),
    };
    let figures = device.figures.clone();
    let ended = CancellationToken::new();
    // In a task of its own: whoever reads our receipts slowly does not stop the link.
    let every = config.status.every;
    let running = tokio::spawn(device.run(every, None, ended.clone()));
    let done = async {
        let read = tokio::select! {
            read = desk.read() => read,
            () = stop.cancelled() => Ok(()),
        };
        let closed = desk.close(&figures).await;
        ended.cancel();
        read.and(closed)
    }
    .await;
    running.await.map_err(|_| PublishError::Ended)?;
    let left = figures.read();
    let outcome = Outcome {
        waiting: left.held.events,
        refused: left.tally.refused,
        ..desk.outcome
    };
    done.map(|()| outcome)
}

fn status_stream() -> StreamName {
    StreamName::STATUS.parse().expect("the name is valid")
}

impl Desk {
    async fn read(&mut self) -> Result<(), PublishError> {
        match self.publication.input.clone() {
            Input::Stdin => self.lines().await,
            Input::Files(files) => self.files(files).await,
            Input::Command(command, every) => self.command(&command, every).await,
        }
    }

    async fn lines(&mut self) -> Result<(), PublishError> {
        let read = |source| PublishError::Read {
            what: "the standard input".into(),
            source,
        };
        let mut lines = lines::of_stdin(MAX_PAYLOAD_BYTES).map_err(read)?;
        let kind = self.content_type("text/plain");
        loop {
            let line = self.meanwhile(lines.recv()).await?;
            match line.transpose().map_err(read)? {
                Some(Line::Whole(line)) => self.post(&kind, line).await?,
                Some(Line::TooLong(bytes)) => {
                    self.outcome.lost += 1;
                    warn!(
                        "a line of {bytes} bytes is not published: an event may carry {MAX_PAYLOAD_BYTES}"
                    );
                }
                None => return Ok(()),
            }
        }
    }

    async fn files(&mut self, files: Vec<PathBuf>) -> Result<(), PublishError> {
        for file in files {
            let read = |source| PublishError::Read {
                what: file.display().to_string(),
                source,
            };
            let length = tokio::fs::metadata(&file).await.map_err(read)?.len();
            if length > MAX_PAYLOAD_BYTES as u64 {
                self.outcome.lost += 1;
                warn!(file = %file.display(), "{length} bytes are not published: an event may carry {MAX_PAYLOAD_BYTES}");
                continue;
            }
            let payload = tokio::fs::read(&file).await.map_err(read)?;
            let ending = file.extension().and_then(|ending| ending.to_str());
            let kind = self.content_type(type_of(ending.unwrap_or_default()));
            self.post(&kind, payload).await?;
        }
        Ok(())
    }

    async fn command(
        &mut self,
        command: &[OsString],
        every: Option<Duration>,
    ) -> Result<(), PublishError> {
        let kind = self.content_type("text/plain");
        // Once: the second tick never comes.
        let mut ticks = interval(every.unwrap_or(Duration::MAX / 4));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.meanwhile(ticks.tick()).await?;
            let run = command::run(command, COMMAND_LIMIT, MAX_PAYLOAD_BYTES);
            match self.meanwhile(run).await? {
                Ok(payload) => self.post(&kind, payload).await?,
                Err(error) => {
                    self.outcome.lost += 1;
                    let command = command.first().map(|program| program.to_string_lossy());
                    warn!(command = ?command.unwrap_or_default(), error = %causes(&error), "nothing to publish");
                }
            }
            if every.is_none() {
                return Ok(());
            }
        }
    }

    /// Signs a reading and hands it over; waits while too many receipts are open.
    async fn post(&mut self, content_type: &str, payload: Vec<u8>) -> Result<(), PublishError> {
        let bytes = payload.len();
        while self.open.len() >= OPEN
            || (self.open_bytes > 0 && self.open_bytes + bytes > OPEN_BYTES)
        {
            self.settle_oldest().await?;
        }
        let stream = self.publication.stream.as_str();
        let signed = now_us()
            .map_err(VoiceError::from)
            .and_then(|time| self.voice.sign(stream, content_type, time, payload));
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                self.outcome.lost += 1;
                warn!(error = %causes(&error), "a reading is not published");
                return Ok(());
            }
        };
        let position = signed.position();
        let fate = self.uplink.post(signed).await;
        self.open_bytes += bytes;
        self.open.push_back(Open {
            position,
            bytes,
            fate: fate.map_err(|_| PublishError::Ended)?,
        });
        Ok(())
    }

    /// Waits until every event is safe, and then a while until the gateway has them all.
    async fn close(&mut self, figures: &LinkFigures) -> Result<(), PublishError> {
        let until = Instant::now() + self.publication.patience.max(SAFE_LIMIT);
        while !self.open.is_empty() {
            match timeout_at(until, self.settle_oldest()).await {
                Ok(settled) => settled?,
                // Neither the gateway nor the disk takes them.
                Err(_) => {
                    self.outcome.lost += self.open.len() as u64;
                    self.open.clear();
                }
            }
        }
        let until = Instant::now() + self.publication.patience;
        let delivered = async {
            loop {
                let now = figures.read();
                if now.is_spool_read && now.held.events == 0 && now.in_memory == 0 {
                    return;
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        // What is not delivered by then is on the disk.
        let _ = timeout_at(until, delivered).await;
        Ok(())
    }

    /// Waits for something, and tells meanwhile what becomes of earlier readings.
    async fn meanwhile<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, PublishError> {
        let mut waiting = pin!(waiting);
        loop {
            tokio::select! {
                done = &mut waiting => return Ok(done),
                settled = self.settle_oldest(), if !self.open.is_empty() => settled?,
            }
        }
    }

    /// Waits until it is decided what becomes of the oldest reading. Safe to drop while it waits.
    async fn settle_oldest(&mut self) -> Result<(), PublishError> {
        let Some(oldest) = self.open.front_mut() else {
            return Ok(());
        };
        let fate = (&mut oldest.fate).await.map_err(|_| PublishError::Ended)?;
        self.open
            .pop_front()
            .map_or(Ok(()), |oldest| self.settle(&oldest, &fate))
    }

    fn settle(&mut self, open: &Open, fate: &Fate) -> Result<(), PublishError> {
        self.open_bytes -= open.bytes;
        let (word, reason) = match fate {
            Fate::Acknowledged => ("acknowledged", None),
            Fate::Kept => ("kept", None),
            Fate::Refused(reason) => ("refused", Some(reason.as_str())),
            Fate::Dropped => ("dropped", None),
        };
        match fate {
            Fate::Acknowledged | Fate::Kept => self.outcome.safe += 1,
            // Counted by the link.
            Fate::Refused(_) => {}
            Fate::Dropped => self.outcome.lost += 1,
        }
        if self.publication.receipts == Receipts::Omit {
            return Ok(());
        }
        let receipt = PrintedReceipt {
            stream: self.publication.stream.as_str(),
            boot: open.position.boot.get(),
            seq: open.position.seq.get(),
            fate: word,
            reason,
        };
        let mut line = serde_json::to_vec(&receipt).expect("names and numbers are JSON");
        line.push(b'\n');
        let print = || {
            let mut out = io::stdout().lock();
            out.write_all(&line).and_then(|()| out.flush())
        };
        tokio::task::block_in_place(print).map_err(PublishError::Print)
    }

    fn content_type(&self, otherwise: &str) -> String {
        let asked = self.publication.content_type.as_ref();
        asked.map_or_else(|| otherwise.to_owned(), ToString::to_string)
    }
}

/// The content type of files with an ending.
fn type_of(ending: &str) -> &'static str {
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "json" => ContentType::JSON,
        "jpg" | "jpeg" => ContentType::JPEG,
        "png" => "image/png",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}
