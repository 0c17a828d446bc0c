use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use url::Url;

/// Starts a chain on a free port; it ends with the value.
pub(crate) async fn start_anvil() -> (Child, Url) {
    start_anvil_with(&[]).await
}

/// As [`start_anvil`], with more arguments.
pub(crate) async fn start_anvil_with(more: &[&str]) -> (Child, Url) {
    let arch = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    let os = if OS == "macos" { "darwin" } else { OS };
    let mut child = Command::new(find(&format!(
        "node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil"
    )))
    .args([
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--slots-in-an-epoch",
        "1",
    ])
    .args(more)
    .stdout(Stdio::piped())
    .kill_on_drop(true)
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = timeout(Duration::from_secs(30), async {
        loop {
            let line = lines.next_line().await.unwrap().expect("anvil ended");
            if let Some(address) = line.strip_prefix("Listening on ") {
                return address.to_owned();
            }
        }
    });
    let address = address.await.expect("anvil did not start in time");
    // It goes on printing, and must not stop at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, format!("http://{address}").parse().unwrap())
}

fn find(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .map(|folder| folder.join(path))
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{path} is missing: run `npm install --ignore-scripts`"))
}
