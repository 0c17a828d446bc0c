//! A gateway as a process, its certificates, and how clients get to it.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest wait for anything that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LEDGER: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

/// A running gateway; dropping it kills it.
pub(crate) struct Gateway {
    child: Child,
    log: PathBuf,
    addresses: Value,
}

/// Whom clients trust.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A gateway on free ports, with a configuration of its own. No node answers it, which is nothing to its doors.
pub(crate) fn command(folder: &Path, config: &str) -> Command {
    let [file, deployment] = ["gateway.toml", "deployment.json"].map(|name| folder.join(name));
    fs::write(&file, config).unwrap();
    let json = format!(r#"{{"chainId":31337,"ledger":"{LEDGER}","block":1}}"#);
    fs::write(&deployment, json).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashya-gateway"));
    command
        .args(["run", "--rpc", "http://127.0.0.1:1", "--deployment"])
        .arg(deployment)
        .arg("--config")
        .arg(file)
        .arg("--data")
        .arg(folder.join("data"))
        .args(["--listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0"])
        .stdin(Stdio::null());
    command
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

impl Gateway {
    pub(crate) async fn start(folder: &TempDir, config: &str) -> Self {
        Self::spawn(folder, command(folder.path(), config)).await
    }

    pub(crate) async fn spawn(folder: &TempDir, mut command: Command) -> Self {
        let log = folder.path().join("log");
        command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let mut gateway = Self {
            child: command.spawn().unwrap(),
            log,
            addresses: Value::Null,
        };
        let path = folder.path().join("data/addresses.json");
        let read = async || {
            let ended = gateway.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}");
            serde_json::from_slice(&fs::read(&path).ok()?).ok()
        };
        gateway.addresses = until("addresses", read).await;
        gateway
    }

    /// Where it listens for `http`, `mqtt`, `mqttTls` or `metrics`.
    pub(crate) fn address(&self, door: &str) -> SocketAddr {
        self.addresses[door].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn until_logged(&self, text: &str) {
        until(text, async || self.log().contains(text).then_some(())).await;
    }

    /// The value of one line of the metrics.
    pub(crate) async fn metric(&self, name: &str) -> Option<String> {
        let url = format!("http://{}/metrics", self.address("metrics"));
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(str::to_owned)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        until("the end", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { issuer }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a certificate that ends with a year, and its key.
    pub(crate) fn issue(&self, folder: &Path, ends: i32) -> CertificateDer<'static> {
        self.issue_until(folder, rcgen::date_time_ymd(ends, 12, 31))
    }

    pub(crate) fn issue_until(
        &self,
        folder: &Path,
        end: OffsetDateTime,
    ) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.not_after = end;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let secret = folder.join("key.pem");
        fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        certificate.der().clone()
    }

    /// A TLS connection of somebody who trusts this authority alone.
    pub(crate) async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(address).await.unwrap();
        let name = address.ip().into();
        connector.connect(name, stream).await.unwrap()
    }

    /// An address of ours without TLS that leads to `address` by TLS, once, for clients that know no TLS.
    pub(crate) async fn tunnel(&self, address: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let mut far = self.connect(address).await;
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            // Ends as either side does.
            let _ = copy_bidirectional(&mut client, &mut far).await;
        });
        near
    }
}

/// The settings for the certificate in a folder.
pub(crate) fn tls_settings(folder: &Path) -> String {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n",)
}
