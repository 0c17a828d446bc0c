use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ashya_protocol::ws::JsonEvent;
use ashya_protocol::{FeedId, Wei};
use serde_json::Value;
use url::Url;

use crate::account::Account;
use crate::paths;
use crate::process::Process;
use crate::wait::eventually;

/// How the agent's `subscribe` is started.
#[derive(Debug, Clone)]
pub struct SubscriberOptions {
    /// Name of its log.
    pub name: String,
    /// The feed that it buys.
    pub feed: FeedId,
    /// The gateway that it watches at.
    pub gateway: Url,
    /// The node that it trusts.
    pub rpc: Url,
    /// Most ETH that it spends.
    pub budget: Wei,
    /// What it buys at once, such as `60s`.
    pub term: String,
    /// Folder of its key and its books.
    pub folder: PathBuf,
    /// Folder of its log.
    pub logs: PathBuf,
    /// Flags beyond those, such as `--cancel`.
    pub more: Vec<String>,
}

/// A running `ashya-agent subscribe`: the real program, with its events and its news in one log of JSON lines.
#[derive(Debug)]
pub struct Subscriber {
    process: Process,
    options: SubscriberOptions,
    /// How many lines were written by earlier runs.
    before: usize,
}

impl SubscriberOptions {
    /// The command line that starts the real program.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command(&self) -> Result<Command> {
        let mut command = paths::program("ashya-agent")?;
        command
            .arg("subscribe")
            .arg(self.feed.to_string())
            .args(["--gateway", self.gateway.as_str()])
            .args(["--rpc", self.rpc.as_str()])
            .args(["--budget", &eth(self.budget)])
            .args(["--term", &self.term])
            .arg("--key-file")
            .arg(self.folder.join("wallet.key"))
            .arg("--state")
            .arg(self.folder.join("state"))
            .arg("--json")
            .args(&self.more);
        Ok(command)
    }

    /// Puts the secret key of an account where the program reads it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn with_key(self, account: &Account) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join("wallet.key");
        std::fs::write(&path, account.key().to_secret_hex())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(self)
    }
}

impl Subscriber {
    /// Starts the program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(options: SubscriberOptions) -> Result<Self> {
        let path = options.logs.join(format!("{}.log", options.name));
        let before = std::fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            process: Process::spawn(&options.name, options.command()?, &options.logs)?,
            options,
            before: before.lines().count(),
        })
    }

    /// Kills the program without warning, and starts it again with other options.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn crash_and_restart(mut self, options: SubscriberOptions) -> Result<Self> {
        self.process.kill();
        Self::start(options)
    }

    /// How it was started.
    pub fn options(&self) -> &SubscriberOptions {
        &self.options
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// All that this run has said.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.process.log();
        let lines = log.lines().skip(self.before);
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// What this run has said of one `type`.
    pub fn said(&self, kind: &str) -> Vec<Value> {
        let lines = self.lines().into_iter();
        lines.filter(|line| line["type"] == kind).collect()
    }

    /// The events of this run.
    ///
    /// # Errors
    /// When a line is no event.
    pub fn events(&self) -> Result<Vec<JsonEvent>> {
        let events = self.said("event").into_iter();
        events
            .map(|line| serde_json::from_value(line.clone()).with_context(|| line.to_string()))
            .collect()
    }

    /// Waits until it has said so much of one `type`; returns the last.
    ///
    /// # Errors
    /// When it ends before, or does not in time.
    pub async fn hears(&mut self, kind: &str, count: usize, limit: Duration) -> Result<Value> {
        let what = format!("{count} times {kind:?} of {}", self.options.name);
        let found = eventually(&what, limit, async || {
            let said = self.said(kind);
            if said.len() >= count {
                return Ok(said.last().cloned());
            }
            if let Some(status) = self.process.ended()? {
                bail!("it ended ({status})");
            }
            Ok(None)
        });
        let found = found.await;
        found.with_context(|| format!("its log ends with\n{}", self.process.tail()))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes on.
    pub async fn ends(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = self.process.wait(limit).await;
        ended.with_context(|| format!("its log ends with\n{}", self.process.tail()))
    }
}

/// The wei of a line.
///
/// # Errors
/// When the field is no amount.
pub fn wei_of(line: &Value, field: &str) -> Result<Wei> {
    let text = line[field].as_str();
    let text = text.with_context(|| format!("{field} of {line}"))?;
    Ok(text.parse()?)
}

/// An amount in ETH, as the command line takes it.
fn eth(amount: Wei) -> String {
    let (whole, rest) = (amount.get() / Wei::ETH.get(), amount.get() % Wei::ETH.get());
    format!("{whole}.{rest:018}")
}
