use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::{Address, AuthorizationFile, DeviceId, FeedAuthorization, FeedName};
use url::Url;

use crate::paths;
use crate::process::Process;

/// Time that an agent may take to load its model and have its first event acknowledged, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What an agent's log says once its first event is acknowledged.
const READY: &str = "publishing";

/// How an agent is started.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Name of its log.
    pub name: String,
    /// The gateway.
    pub gateway: Url,
    /// Its data folder, where its key lies.
    pub data: PathBuf,
    /// Folder of its log.
    pub logs: PathBuf,
    /// The wallet that it names as its owner.
    pub owner: Address,
    /// A short name for people.
    pub title: String,
    /// Where its pictures come from, such as `scene:1`.
    pub source: String,
    /// Pictures a second.
    pub fps: u32,
    /// Lowest score of what is reported, 0 to 1.
    pub confidence: f32,
    /// Its configuration file, under what is given here.
    pub config: Option<PathBuf>,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    options: AgentOptions,
}

impl AgentOptions {
    /// The command line that starts the real program with the default model.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command(&self) -> Result<Command> {
        let model = paths::repository().join("models/street_tiny_320.onnx");
        let mut command = self.program("run")?;
        command
            .args(["--gateway", self.gateway.as_str()])
            .args(["--owner", &self.owner.to_string()])
            .args(["--title", &self.title])
            .args(["--description", "People and traffic on a generated street"])
            .arg("--model")
            .arg(model)
            .args(["--source", &self.source])
            .args(["--fps", &self.fps.to_string()])
            .args(["--frames-fps", &self.fps.to_string()])
            .args(["--confidence", &self.confidence.to_string()])
            .args(["--threads", "1"]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        Ok(command)
    }

    /// The command line that publishes what it reads on a stream of its own.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn publish(&self, stream: &str) -> Result<Command> {
        let mut command = self.program("publish")?;
        command
            .args(["--gateway", self.gateway.as_str()])
            .args(["--owner", &self.owner.to_string()])
            .args(["--title", &self.title])
            .args(["--stream", stream]);
        Ok(command)
    }

    /// The device, whose key is made when there is none.
    ///
    /// # Errors
    /// When the agent fails.
    pub async fn device(&self) -> Result<DeviceId> {
        let text = output(self.program("id")?).await?;
        Ok(text.trim().parse()?)
    }

    /// The device's consent that its owner opens the feed `name`.
    ///
    /// # Errors
    /// When the agent fails.
    pub async fn authorize(&self, name: &FeedName) -> Result<FeedAuthorization> {
        let mut command = self.program("authorize")?;
        command
            .args(["--gateway", self.gateway.as_str()])
            .args(["--owner", &self.owner.to_string()])
            .args(["--name", name.as_str()]);
        let text = output(command).await?;
        let printed: AuthorizationFile =
            serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok(printed.authorization)
    }

    fn program(&self, verb: &str) -> Result<Command> {
        let mut command = paths::program("ashya-agent")?;
        command
            .current_dir(paths::repository())
            .arg(verb)
            .arg("--data")
            .arg(&self.data);
        Ok(command)
    }
}

impl Agent {
    /// Starts an agent, without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(options: AgentOptions) -> Result<Self> {
        let process = Process::spawn(&options.name, options.command()?, &options.logs)?;
        Ok(Self { process, options })
    }

    /// Starts an agent and waits until its first event is acknowledged.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(options: AgentOptions) -> Result<Self> {
        let mut agent = Self::spawn(options)?;
        agent.ready().await?;
        Ok(agent)
    }

    /// Waits until the agent's first event is acknowledged.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn ready(&mut self) -> Result<()> {
        self.process.wait_for_log(READY, START_LIMIT).await
    }

    /// How it was started.
    pub fn options(&self) -> &AgentOptions {
        &self.options
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Runs a short command and returns what it prints.
async fn output(command: Command) -> Result<String> {
    let what = Path::new(command.get_program()).display().to_string();
    let output = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{what}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
