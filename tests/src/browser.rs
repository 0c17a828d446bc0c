use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::process::Process;

/// Names under which chromium is installed.
const CHROMIUM: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Runs a script of `tests/browser` in Node with a real browser, and returns what it printed.
///
/// # Errors
/// When Node or chromium is missing, or the script fails, with what it printed.
pub async fn run_script(
    script: &str,
    environment: &[(&str, String)],
    logs: &Path,
    limit: Duration,
) -> Result<String> {
    let chromium =
        paths::on_path(&CHROMIUM).context("no chromium on the search path: run `make setup`")?;
    let root = paths::repository();
    let screenshots = root.join("target/screenshots");
    std::fs::create_dir_all(&screenshots)?;
    let mut command = Command::new("node");
    command
        .current_dir(root)
        .arg(root.join("tests/browser").join(script))
        .env("ASHYA_CHROMIUM", chromium)
        .env("ASHYA_SCREENSHOTS", screenshots)
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn(script, command, logs)?;
    let status = process.wait(limit).await.with_context(|| process.tail())?;
    ensure!(status.success(), "{script}: {status}\n{}", process.log());
    Ok(process.log())
}
