//! Publishes what anything measures: lines, files, or what a command prints.
//!
//! ```text
//!  stdin ──lines─┐
//!  files ────────┼─► sign ─► uplink ─► link ─► gateway
//!  command ──────┘             ▲          │
//!                              └ receipts ┘  a reader waits while too many are open
//! ```

mod command;
mod desk;
mod files;
mod lines;
mod receipts;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ashya_protocol::{ContentType, StreamName};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::device::{Claim, DeviceError};
use desk::Desk;

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
    /// Whether the disk could not be opened or failed, so that nobody knows what waits on it.
    pub(crate) is_disk_away: bool,
    /// Events that the gateway does not take.
    pub(crate) refused: u64,
    /// Readings that became no event, and events that had to make room; of earlier times too.
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

/// Publishes until the input ends or `stop`, and waits for what is under way.
///
/// Nothing where it is told to stop before the ledger to sign for is known.
///
/// # Errors
/// When the device cannot start, or the input not be read. What was published before is told in the log.
pub(crate) async fn publish(
    config: &Config,
    publication: Publication,
    stop: &CancellationToken,
) -> Result<Option<Outcome>, PublishError> {
    let streams = [publication.stream.clone(), status_stream()];
    let claim = Claim::with_earlier_streams(config, streams.into())?;
    let Some(device) = claim.begin(config, stop).await? else {
        return Ok(None);
    };
    let mut desk = Desk::new(publication, device.voice.clone(), device.uplink.clone())?;
    let figures = device.figures.clone();
    let ended = CancellationToken::new();
    // In a task of its own: whoever reads our receipts slowly does not stop the link.
    let every = config.status.every;
    let running = tokio::spawn(device.run(every, None, ended.clone()));
    let read = tokio::select! {
        read = desk.read() => read,
        () = stop.cancelled() => Ok(()),
    };
    let closed = desk.close(&figures, stop).await;
    ended.cancel();
    running.await.map_err(|_| PublishError::Ended)?;
    let (outcome, printed) = desk.finish(figures.read(), stop).await;
    read.and(closed).and(printed).map(|()| Some(outcome))
}

fn status_stream() -> StreamName {
    StreamName::STATUS.parse().expect("the name is valid")
}
