//! What the program says when it cannot start.

use std::fs::{Permissions, create_dir, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn run(data: &Path, listen: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ashya-gateway"))
        .args(["run", "--listen", listen, "--mqtt-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0", "--deployment-block", "1"])
        .args(["--ledger", "0x5fbdb2315678afecb367f032d93f642f64180aa3"])
        .arg("--data")
        .arg(data)
        .output()
        .unwrap()
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_data_folder_that_others_may_enter_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    create_dir(&data).unwrap();
    set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let output = run(&data, "127.0.0.1:0");
    assert_eq!(output.status.code(), Some(64));
    let line = last_line(&output);
    assert!(
        line.contains(&format!("chmod 700 {}", data.display())),
        "{line}"
    );
    assert!(!data.join("store").exists());
}

#[test]
fn a_taken_address_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&folder.path().join("data"), &address);
    assert_eq!(output.status.code(), Some(1));
    let line = last_line(&output);
    assert!(line.contains(&address), "{line}");
    assert_eq!(line.matches("in use").count(), 1, "{line}");
}
