//! `ashya-gateway run --mqtt-bridge` as a process, with a real mosquitto.

#[path = "support/mosquitto.rs"]
mod mosquitto;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use mosquitto::Mosquitto;

/// Longest wait for anything that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "open-sesame";

/// A running gateway; dropping it kills it.
struct Gateway {
    child: Child,
    log: PathBuf,
    data: PathBuf,
}

impl Gateway {
    fn start(folder: &Path, url: &str, trusted: Option<&Path>) -> Self {
        let (data, log) = (folder.join("data"), folder.join("log"));
        let mut command = command(folder);
        // By environment, where `ps` does not show it.
        command
            .env("ASHYA_GATEWAY_MQTT_BRIDGE", url)
            .stderr(File::create(&log).unwrap());
        if let Some(path) = trusted {
            command.env("SSL_CERT_FILE", path);
        }
        let child = command.spawn().unwrap();
        Self { child, log, data }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn get(&self, listener: &str, path: &str) -> Option<(u16, String)> {
        let json = std::fs::read(self.data.join("addresses.json")).ok()?;
        let addresses: Value = serde_json::from_slice(&json).unwrap();
        let url = format!("http://{}{path}", addresses[listener].as_str().unwrap());
        let answer = reqwest::get(url).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until the metric says so.
    async fn until_connected(&self, connected: bool) {
        let line = format!("ashya_bridge_connected {}", u8::from(connected));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.get("metrics", "/metrics").await;
            if metrics.is_some_and(|(_, text)| text.lines().any(|found| found == line)) {
                return;
            }
            assert!(Instant::now() < deadline, "never: {line}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the log has a text as often as that.
    async fn until_logged(&self, text: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < deadline, "no {text:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn assert_alive_and_discreet(&self) {
        let (status, _) = self.get("http", "/v1/health/live").await.unwrap();
        assert_eq!(status, 200);
        let (_, metrics) = self.get("metrics", "/metrics").await.unwrap();
        for text in [self.log(), metrics] {
            assert!(!text.contains(PASSWORD), "{text}");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway on free ports. No node answers it, which is nothing to the bridge.
fn command(folder: &Path) -> Command {
    let deployment = folder.join("deployment.json");
    let ledger = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let json = format!(r#"{{"chainId":31337,"ledger":"{ledger}","block":1}}"#);
    std::fs::write(&deployment, json).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashya-gateway"));
    command
        .args(["run", "--rpc", "http://127.0.0.1:1", "--deployment"])
        .arg(deployment)
        .arg("--data")
        .arg(folder.join("data"))
        .args(["--listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Writes a certificate authority of our own and a certificate for 127.0.0.1, and gives mosquitto's settings for them.
fn certificates(folder: &Path) -> (PathBuf, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let [trusted, chain, secret] = ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&trusted, authority.pem()).unwrap();
    std::fs::write(&chain, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let settings = format!("certfile {}\nkeyfile {}", chain.display(), secret.display());
    (trusted, settings)
}

#[test]
fn a_bad_address_is_one_line_and_exit_code_64() {
    let folder = TempDir::new().unwrap();
    for url in [
        format!("http://gateway:{PASSWORD}@127.0.0.1"),
        format!("gateway:{PASSWORD}@127.0.0.1"),
        format!("mqtt://:{PASSWORD}@127.0.0.1"),
    ] {
        let mut command = command(folder.path());
        let ended = command.args(["--mqtt-bridge", &url]).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("mqtt.bridge: must be mqtt://HOST"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let mut help = Command::new(env!("CARGO_BIN_EXE_ashya-gateway"));
    help.args(["run", "--help"])
        .env("ASHYA_GATEWAY_MQTT_BRIDGE", PASSWORD);
    let help = String::from_utf8(help.output().unwrap().stdout).unwrap();
    assert!(help.contains("--mqtt-bridge") && !help.contains(PASSWORD));
}

#[tokio::test]
async fn a_wrong_password_is_logged_and_tried_again() {
    let folder = TempDir::new().unwrap();
    let settings = Mosquitto::password_file(folder.path(), "gateway", "another");
    let broker = Mosquitto::start(folder.path(), &settings);
    let url = format!("mqtt://gateway:{PASSWORD}@127.0.0.1:{}", broker.port);
    let gateway = Gateway::start(folder.path(), &url, None);
    gateway.until_logged("the bridge is not connected", 3).await;
    assert!(gateway.log().contains("NotAuthorized"), "{}", gateway.log());
    gateway.until_connected(false).await;
    gateway.assert_alive_and_discreet().await;
}

#[tokio::test]
async fn tls_is_for_a_broker_that_proves_its_name() {
    let folder = TempDir::new().unwrap();
    let (trusted, tls) = certificates(folder.path());
    let users = Mosquitto::password_file(folder.path(), "gateway", PASSWORD);
    let mut broker = Mosquitto::start(folder.path(), &format!("{tls}\n{users}"));
    let url = format!("mqtts://gateway:{PASSWORD}@127.0.0.1:{}", broker.port);
    {
        // Another authority than the one that is trusted.
        let elsewhere = TempDir::new().unwrap();
        let (other, _) = certificates(elsewhere.path());
        let gateway = Gateway::start(elsewhere.path(), &url, Some(&other));
        gateway.until_logged("the bridge is not connected", 2).await;
        let log = gateway.log();
        assert!(log.contains("invalid peer certificate"), "{log}");
        gateway.until_connected(false).await;
        gateway.assert_alive_and_discreet().await;
    }
    let gateway = Gateway::start(folder.path(), &url, Some(&trusted));
    gateway.until_connected(true).await;
    broker.stop();
    gateway.until_connected(false).await;
    gateway.assert_alive_and_discreet().await;
    broker.restart();
    gateway.until_connected(true).await;
    gateway.assert_alive_and_discreet().await;
}
