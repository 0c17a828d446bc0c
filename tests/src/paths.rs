use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies inside the repository")
}

/// The folder of models and pictures that cannot be given away, where this machine has it: `ASHYA_SHARED`, else `../shared`
/// beside the repository.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("ASHYA_SHARED")
        .map_or_else(|| repository().join("../shared"), PathBuf::from);
    let complete = folder.join("models").is_dir() && folder.join("images").is_dir();
    complete.then_some(folder)
}

/// A program of this workspace, built beside the one that runs now.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own
        .ancestors()
        .find(|folder| folder.ends_with("release") || folder.ends_with("debug"))
        .context("this program lies in no target folder")?;
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release`",
        path.display()
    );
    Ok(path)
}

/// A command that runs a program of this workspace, deaf to settings in the environment that were meant for another run.
///
/// # Errors
/// When it has not been built.
pub(crate) fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(binary(name)?);
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("ASHYA_GATEWAY_") || text.starts_with("ASHYA_AGENT_") {
            command.env_remove(&variable);
        }
    }
    Ok(command)
}

/// The native anvil of the npm package: its wrapper loses exit codes and does not pass signals on.
///
/// # Errors
/// When the npm packages are not installed, or Foundry is not published for this platform.
pub(crate) fn anvil() -> Result<PathBuf> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("Foundry is not published for {other}"),
    };
    let package = format!("node_modules/@foundry-rs/anvil-{system}-{processor}/bin/anvil");
    let path = repository().join(package);
    ensure!(
        path.is_file(),
        "{} is missing: run `npm ci --ignore-scripts`",
        path.display()
    );
    Ok(path)
}

/// A program on the search path.
pub(crate) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// Ports that Linux and macOS do not give out by themselves, neither to connections nor to listeners that ask for any.
const PORTS: Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that is free: `wanted` if it is, any other if not. This process gets each of those once before it
/// gets any again.
///
/// # Errors
/// When no port is free.
pub fn free_port(wanted: u16) -> Result<u16> {
    static STEP: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // So that processes that run side by side begin at different places.
    let first = std::process::id().wrapping_mul(97);
    let any = PORTS.map(|_| {
        let place = first.wrapping_add(STEP.fetch_add(1, Ordering::Relaxed));
        PORTS.start + u16::try_from(place % PORTS.len() as u32).expect("less than the ports are")
    });
    Some(wanted)
        .filter(|port| *port != 0)
        .into_iter()
        .chain(any)
        .find(is_free)
        .context("no port of 127.0.0.1 is free")
}
