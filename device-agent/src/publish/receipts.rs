//! Lines of JSON about what became of each event.

use std::io::{self, Write};
use std::thread;

use ashya_protocol::{Position, StreamName};
use serde::Serialize;
use tokio::sync::mpsc::{OwnedPermit, Receiver, Sender, channel};
use tokio::sync::oneshot;

use crate::outbox::Fate;

/// A thread that prints. It is left behind with the process when nobody reads, so that one who tells us to stop is heard.
#[derive(Debug)]
pub(super) struct Printer {
    lines: Sender<Vec<u8>>,
    done: oneshot::Receiver<io::Result<()>>,
}

/// What a receipt says.
#[derive(Debug, Serialize)]
struct Line<'a> {
    stream: &'a str,
    boot: u64,
    seq: u64,
    fate: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Printer {
    /// Starts the thread, which ends with this value.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, mut waiting) = channel(1);
        let (ended, done) = oneshot::channel();
        thread::Builder::new()
            .name("receipts".into())
            .spawn(move || {
                // Whoever has stopped waiting does not need to know.
                let _ = ended.send(print(&mut out, &mut waiting));
            })?;
        Ok(Self { lines, done })
    }

    /// Waits until one more may be printed. Safe to drop while it waits.
    ///
    /// # Errors
    /// When no more can.
    pub(super) async fn room(&mut self) -> io::Result<OwnedPermit<Vec<u8>>> {
        match self.lines.clone().reserve_owned().await {
            Ok(room) => Ok(room),
            Err(_) => {
                let error = self.done.try_recv().ok().and_then(Result::err);
                Err(error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// Waits until all is printed.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.lines);
        self.done.await.unwrap_or(Ok(()))
    }
}

fn print(out: &mut impl Write, lines: &mut Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(line) = lines.blocking_recv() {
        out.write_all(&line)?;
        out.flush()?;
    }
    Ok(())
}

/// A receipt as it is printed.
pub(super) fn receipt(stream: &StreamName, position: Position, fate: &Fate) -> Vec<u8> {
    let (fate, reason) = match fate {
        Fate::Acknowledged => ("acknowledged", None),
        Fate::Kept => ("kept", None),
        Fate::Refused(reason) => ("refused", Some(reason.as_str())),
        Fate::Dropped => ("dropped", None),
    };
    let line = Line {
        stream: stream.as_str(),
        boot: position.boot.get(),
        seq: position.seq.get(),
        fate,
        reason,
    };
    let mut line = serde_json::to_vec(&line).expect("names and numbers are JSON");
    line.push(b'\n');
    line
}
