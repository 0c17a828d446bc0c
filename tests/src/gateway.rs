use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::api::Api;
use crate::metrics::Metrics;
use crate::paths;
use crate::process::Process;
use crate::wait::eventually;

/// Time that a gateway may take to be ready, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where a gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Addresses {
    /// REST, websocket and page.
    pub http: SocketAddr,
    /// The broker.
    pub mqtt: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
}

impl Addresses {
    /// Three ports of 127.0.0.1; 0 takes a free one.
    pub fn local(http: u16, mqtt: u16, metrics: u16) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            http: local(http),
            mqtt: local(mqtt),
            metrics: local(metrics),
        }
    }
}

/// How a gateway is started.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Where it listens.
    pub listen: Addresses,
    /// Its data folder.
    pub data: PathBuf,
    /// Folder of its log.
    pub logs: PathBuf,
    /// JSON-RPC of its chain.
    pub rpc: Url,
    /// The deployment file.
    pub deployment: PathBuf,
    /// Flags beyond those, such as `--demo`.
    pub more: Vec<String>,
}

impl GatewayOptions {
    /// The command line that starts the real program.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn command(&self) -> Result<Command> {
        let mut command = paths::program("ashya-gateway")?;
        command
            .arg("run")
            .args(["--listen", &self.listen.http.to_string()])
            .args(["--mqtt-listen", &self.listen.mqtt.to_string()])
            .args(["--metrics-listen", &self.listen.metrics.to_string()])
            .arg("--data")
            .arg(&self.data)
            .args(["--rpc", self.rpc.as_str()])
            .args(["--public-rpc", self.rpc.as_str().trim_end_matches('/')])
            .arg("--deployment")
            .arg(&self.deployment)
            .args(&self.more);
        Ok(command)
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    options: GatewayOptions,
    addresses: Addresses,
    api: Api,
    http: reqwest::Client,
}

impl Gateway {
    /// Starts a gateway and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn start(options: GatewayOptions) -> Result<Self> {
        let mut gateway = Self::open(options).await?;
        gateway.until_ready().await?;
        Ok(gateway)
    }

    /// Starts a gateway and waits until it listens; its chain may be far away.
    ///
    /// # Errors
    /// When it ends, or does not listen in time.
    pub async fn open(options: GatewayOptions) -> Result<Self> {
        let written = options.data.join("addresses.json");
        // A file of an earlier run would name ports that are no longer its.
        let _ = std::fs::remove_file(&written);
        let mut process = Process::spawn("gateway", options.command()?, &options.logs)?;
        let addresses: Addresses = eventually("the gateway's addresses", START_LIMIT, async || {
            process.check_running()?;
            let Ok(text) = std::fs::read_to_string(&written) else {
                return Ok(None);
            };
            Ok(serde_json::from_str(&text).ok())
        })
        .await?;
        Ok(Self {
            process,
            options,
            addresses,
            api: Api::new(format!("http://{}", addresses.http).parse()?),
            http: reqwest::Client::new(),
        })
    }

    /// Waits until the gateway is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub async fn until_ready(&mut self) -> Result<()> {
        eventually("a ready gateway", START_LIMIT, async || {
            self.process.check_running()?;
            let answer = self.api.get("/v1/health/ready").await;
            Ok(answer
                .ok()
                .filter(|answer| answer.status == StatusCode::OK)
                .map(drop))
        })
        .await
        .with_context(|| format!("its log ends with\n{}", self.process.tail()))
    }

    /// Its REST interface.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// How it was started.
    pub fn options(&self) -> &GatewayOptions {
        &self.options
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills the gateway without warning and starts it again on the same ports and data.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn crash_and_restart(&mut self) -> Result<()> {
        self.process.kill();
        self.reopen().await?;
        self.until_ready().await
    }

    /// Starts a gateway that was killed again, on the same ports and data, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn reopen(&mut self) -> Result<()> {
        let options = GatewayOptions {
            listen: self.addresses,
            ..self.options.clone()
        };
        *self = Self::open(options).await?;
        Ok(())
    }

    /// Reads the metrics.
    ///
    /// # Errors
    /// When the metrics listener does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        let address = format!("http://{}/metrics", self.addresses.metrics);
        let response = self.http.get(address).send().await?.error_for_status()?;
        Ok(Metrics::new(response.text().await?))
    }
}
