//! Where events go: lines of JSON on stdout, or a command for each.

use std::io::{self, Write};
use std::process::Stdio;
use std::thread;

use ashya_protocol::ws::{GapReason, JsonEvent};
use ashya_protocol::{Boot, DeviceId, Seq, StreamName, VerifiedEvent};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};

use crate::subscribe::news::{News, Voice};
use crate::subscribe::order::Missing;

/// Where events go.
#[derive(Debug)]
pub(crate) enum Out {
    /// To stdout, a line each.
    Lines(Printer),
    /// To the stdin of a command of the shell, one after the other.
    Command(String),
}

/// A thread that writes to stdout. It is left behind with the process when nobody reads: the pool of the runtime would
/// wait for it.
#[derive(Debug)]
pub(crate) struct Printer {
    lines: mpsc::Sender<(Vec<u8>, oneshot::Sender<io::Result<()>>)>,
}

impl Printer {
    /// Starts the thread, which ends with this value.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<(Vec<u8>, oneshot::Sender<_>)>(1);
        thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                while let Some((line, done)) = waiting.blocking_recv() {
                    let mut stdout = io::stdout().lock();
                    let written = stdout.write_all(&line).and_then(|()| stdout.flush());
                    // Whoever has stopped waiting does not need to know.
                    let _ = done.send(written);
                }
            })?;
        Ok(Self { lines })
    }

    /// Prints a line and waits until the system has it.
    async fn print(&self, line: Vec<u8>) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.lines.send((line, done)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

/// A line of stdout.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Line<'a> {
    /// An event, in the shape that gateways send it in JSON.
    Event(&'a JsonEvent),
    /// Events that will not come.
    Gap {
        device: DeviceId,
        stream: &'a StreamName,
        boot: Boot,
        from: Seq,
        to: Seq,
        reason: Reason,
    },
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// We read too slowly.
    Slow,
    /// They never reached the gateway.
    Lost,
    /// They are no longer kept.
    Gone,
    /// The gateway said nothing: they were not paid for, or it withholds them.
    Untold,
}

impl From<GapReason> for Reason {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::Slow => Self::Slow,
            GapReason::Lost => Self::Lost,
            GapReason::Gone => Self::Gone,
        }
    }
}

impl Out {
    /// Hands on an event. It has been taken when this returns.
    ///
    /// # Errors
    /// When stdout is closed, or the command cannot be started. A command that fails is told, and the event counts as
    /// handed on.
    pub(crate) async fn event(&mut self, event: &VerifiedEvent, voice: Voice) -> io::Result<()> {
        self.put(&Line::Event(&JsonEvent::from(event)), voice).await
    }

    /// Tells of missing events.
    ///
    /// # Errors
    /// As [`Self::event`]. Commands are run for events alone.
    pub(crate) async fn gap(
        &mut self,
        device: DeviceId,
        stream: &StreamName,
        missing: Missing,
        reason: Reason,
        voice: Voice,
    ) -> io::Result<()> {
        let Missing { boot, from, to } = missing;
        let line = Line::Gap {
            device,
            stream,
            boot,
            from,
            to,
            reason,
        };
        match self {
            Self::Lines(_) => self.put(&line, voice).await,
            Self::Command(_) => Ok(()),
        }
    }

    async fn put(&mut self, line: &Line<'_>, voice: Voice) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        match self {
            Self::Lines(printer) => printer.print(text).await,
            Self::Command(command) => run(command, &text, voice).await,
        }
    }
}

async fn run(command: &str, input: &[u8], voice: Voice) -> io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command need not read what it does not want.
        let _ = stdin.write_all(input).await;
    }
    let status = child.wait().await?;
    if !status.success() {
        voice.tell(&News::CommandFailed {
            status: status.to_string(),
        });
    }
    Ok(())
}
