//! Nobody hears of a device but those whom its owner has named.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use ashya_protocol::Address;
use ashya_tests::{binary, free_port, repository};

/// The official library of ONNX Runtime leaves its notes in the home folder, and sends them from there.
#[test]
fn onnx_runtime_takes_no_notes_for_its_makers() -> Result<()> {
    let home = tempfile::tempdir()?;
    let data = tempfile::tempdir()?;
    let gateway = format!("http://127.0.0.1:{}", free_port(0)?);
    let output = Command::new(binary("ashya-agent")?)
        .current_dir(repository())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("XDG_CACHE_HOME")
        .env("HOME", home.path())
        .args(["check", "--gateway", &gateway, "--source", "scene:1"])
        .args(["--model", "models/street_tiny_320.onnx"])
        .args(["--owner", &Address::new([7; 20]).to_string()])
        .arg("--data")
        .arg(data.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("model     ok: "), "{said}");
    let left: Vec<_> = fs::read_dir(home.path())?.collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
