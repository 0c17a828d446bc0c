use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use ashya_protocol::{Boot, Position, Seq};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::AgentOptions;

/// Receipts that may wait to be asked for: more than any test has.
const MAX_RECEIPTS: usize = 1 << 20;

/// The real `ashya-agent publish`, which publishes each line that it is given and tells what became of it. It is killed
/// when this is dropped.
#[derive(Debug)]
pub struct Sensor {
    child: Child,
    input: Option<ChildStdin>,
    receipts: mpsc::Receiver<Result<Receipt>>,
    _reading: JoinSet<()>,
}

/// What the agent prints about an event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// The stream.
    pub stream: String,
    /// The start of the device.
    pub boot: Boot,
    /// The number.
    pub seq: Seq,
    /// `acknowledged`, `kept`, `refused` or `dropped`.
    pub fate: String,
}

impl Receipt {
    /// Where the event stands.
    pub fn position(&self) -> Position {
        Position {
            boot: self.boot,
            seq: self.seq,
        }
    }
}

impl Sensor {
    /// Starts to publish on a stream.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(options: &AgentOptions, stream: &str, more: &[&str]) -> Result<Self> {
        let mut command = Command::from(options.publish(stream)?);
        let mut child = command
            .arg("--receipts")
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let (sender, receipts) = mpsc::channel(MAX_RECEIPTS);
        let mut reading = JoinSet::new();
        reading.spawn(read(BufReader::new(output).lines(), sender));
        Ok(Self {
            input: child.stdin.take(),
            receipts,
            _reading: reading,
            child,
        })
    }

    /// The process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Gives it a line to publish.
    ///
    /// # Errors
    /// When it takes no more.
    pub async fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the input is closed")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }

    /// The next receipt; nothing when it has ended.
    ///
    /// # Errors
    /// When none comes within `limit`, or it is no receipt.
    pub async fn receipt(&mut self, limit: Duration) -> Result<Option<Receipt>> {
        let receipt = timeout(limit, self.receipts.recv());
        receipt.await.context("no receipt")?.transpose()
    }

    /// Ends the input, and gives back the receipts that were not asked for, how it ended, and what it said.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub async fn finish(mut self, limit: Duration) -> Result<(Vec<Receipt>, ExitStatus, String)> {
        drop(self.input.take());
        let mut said = String::new();
        let mut errors = self.child.stderr.take().context("no errors")?;
        let work = async {
            let reading = errors.read_to_string(&mut said);
            let receipts = async {
                let mut receipts = Vec::new();
                while let Some(receipt) = self.receipts.recv().await {
                    receipts.push(receipt?);
                }
                anyhow::Ok(receipts)
            };
            let (read, receipts) = tokio::join!(reading, receipts);
            read?;
            anyhow::Ok((receipts?, self.child.wait().await?))
        };
        let (receipts, status) = timeout(limit, work).await.context("it does not end")??;
        Ok((receipts, status, said))
    }

    /// Kills it without warning, and gives back the receipts that it had printed.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<Vec<Receipt>> {
        self.child.kill().await?;
        let mut receipts = Vec::new();
        while let Some(receipt) = self.receipts.recv().await {
            // The last line may be cut.
            receipts.extend(receipt);
        }
        Ok(receipts)
    }
}

/// Reads receipts as they come: the agent waits for whoever does not.
async fn read(mut lines: Lines<BufReader<ChildStdout>>, receipts: mpsc::Sender<Result<Receipt>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let receipt = serde_json::from_str(&line).context(line);
        if receipts.send(receipt).await.is_err() {
            return;
        }
    }
}
