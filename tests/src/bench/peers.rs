//! The servers that Ashya is measured against, each a bare fan-out without access checks.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_tests::{Process, free_port, repository};

use crate::dialect::Dialect;

/// Time that a peer may take to start.
const START_LIMIT: Duration = Duration::from_secs(15);

/// Which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// uWebSockets in Bun, the yardstick.
    Bun,
    /// `ws` in Node.
    Ws,
    /// nats-server.
    Nats,
    /// mosquitto.
    Mosquitto,
}

/// A running peer.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Bun, Self::Ws, Self::Nats, Self::Mosquitto];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bun => "Bun (uWebSockets)",
            Self::Ws => "Node ws",
            Self::Nats => "nats-server",
            Self::Mosquitto => "mosquitto",
        }
    }

    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Bun | Self::Ws => Dialect::Plain,
            Self::Nats => Dialect::Nats,
            Self::Mosquitto => Dialect::Mqtt,
        }
    }

    /// The command that starts it and, where that is known before, the port of its websocket.
    fn command(self, folder: &Path) -> Result<(Command, Option<u16>)> {
        let scripts = repository().join("tests/bench/peers");
        let mut command = Command::new(self.program()?);
        let port = match self {
            Self::Bun | Self::Ws => {
                let script = if self == Self::Bun {
                    "bun.mjs"
                } else {
                    "ws.mjs"
                };
                command.arg(scripts.join(script));
                None
            }
            Self::Nats => {
                let (own, port) = (free_port(0)?, free_port(0)?);
                let path = folder.join("nats.conf");
                let config = format!(
                    "listen: \"127.0.0.1:{own}\"\n\
                     websocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}\n"
                );
                fs::write(&path, config)?;
                command.arg("--config").arg(path);
                Some(port)
            }
            Self::Mosquitto => {
                let port = free_port(0)?;
                let path = folder.join("mosquitto.conf");
                let config = format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\n\
                     persistence false\nset_tcp_nodelay true\n"
                );
                fs::write(&path, config)?;
                command.arg("-c").arg(path);
                Some(port)
            }
        };
        Ok((command, port))
    }

    fn program(self) -> Result<PathBuf> {
        let found = match self {
            Self::Bun => return bun(),
            Self::Ws => find("node"),
            Self::Nats => find("nats-server"),
            Self::Mosquitto => find("mosquitto"),
        };
        found.with_context(|| format!("{} is not installed", self.name()))
    }
}

impl Peer {
    /// Starts a peer and waits until it takes connections.
    pub(crate) async fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let (command, port) = kind.command(folder)?;
        // A log of an earlier run would name a port that is no longer its.
        let name = kind.name().replace(' ', "-");
        let _ = fs::remove_file(folder.join(format!("{name}.log")));
        let mut process = Process::spawn(&name, command, folder)?;
        let port = match port {
            Some(port) => port,
            None => {
                process.wait_for_log("port=", START_LIMIT).await?;
                let log = process.log();
                let port = log.lines().find_map(|line| line.strip_prefix("port="));
                port.context("no port")?.trim().parse()?
            }
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ashya_tests::eventually(kind.name(), START_LIMIT, async || {
            process.check_running()?;
            Ok(std::net::TcpStream::connect(address).ok())
        })
        .await?;
        Ok(Self {
            kind,
            process,
            address,
        })
    }
}

/// Brings the npm packages of the peers into their own folder, and says loudly which peer cannot be had.
pub(crate) fn available() -> Result<Vec<Kind>> {
    install_packages()?;
    let there = Kind::ALL.into_iter().filter(|kind| match kind.program() {
        Ok(_) => true,
        Err(error) => {
            eprintln!("!!! {} is left out: {error:#}", kind.name());
            false
        }
    });
    Ok(there.collect())
}

fn install_packages() -> Result<()> {
    let folder = repository().join("tests/bench/peers");
    if folder.join("node_modules/ws/package.json").is_file() && bun().is_ok() {
        return Ok(());
    }
    let install = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder)
        .output()
        .context("npm is missing")?;
    ensure!(
        install.status.success(),
        "npm ci in {}: {}",
        folder.display(),
        String::from_utf8_lossy(&install.stderr)
    );
    Ok(())
}

/// Bun's program out of the package of this platform; the wrapper package would fetch it by a script.
fn bun() -> Result<PathBuf> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        other => other,
    };
    let package = format!("node_modules/@oven/bun-{system}-{processor}/bin/bun");
    let path = repository().join("tests/bench/peers").join(package);
    if !path.is_file() {
        bail!("{} is missing", path.display());
    }
    Ok(path)
}

/// A program on the search path, or where Debian puts servers.
fn find(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&folders)
        .chain(servers)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
