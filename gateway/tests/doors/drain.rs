//! How a gateway goes, and what systemd hears of it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Client;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::device::Device;
use crate::rig::{Gateway, PATIENCE, command, until};

/// Time in which a gateway is gone, whatever its clients do.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

const UPGRADE: &str = "GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Asks over a connection that stays open, and gives the answer's head and what came with it.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 16 * 1024];
    let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
    let length = read.expect("no answer").unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn sigterm_says_goodbye_at_every_door() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::start(&folder, "").await;
    let http = gateway.address("http");
    let device = Device::new(1);
    let credentials = device
        .register(&Client::new(), &format!("http://{http}"))
        .await;
    let mqtt = gateway.address("mqtt");
    let mut options = MqttOptions::new("camera", mqtt.ip().to_string(), mqtt.port());
    options.set_credentials(&credentials.username, &credentials.password);
    let (_client, mut packets) = AsyncClient::new(options, 8);
    let connected = timeout(PATIENCE, packets.poll()).await.unwrap().unwrap();
    assert!(matches!(connected, Event::Incoming(Packet::ConnAck(_))));

    let url = format!("ws://{http}/v1/ws");
    let (mut socket, _) = connect_async(url).await.unwrap();
    // A socket that answers no goodbye holds the rest up for a moment, in which a probe can ask.
    let mut deaf = TcpStream::connect(http).await.unwrap();
    assert!(ask(&mut deaf, UPGRADE).await.starts_with("HTTP/1.1 101"));
    let mut probe = TcpStream::connect(http).await.unwrap();
    let ready = "GET /v1/health/ready HTTP/1.1\r\nHost: a\r\n\r\n";
    let before = ask(&mut probe, ready).await;
    assert!(before.contains("chain-unavailable"), "{before}");

    gateway.signal(Signal::TERM);
    let since = Instant::now();
    let close = timeout(PATIENCE, socket.next()).await.expect("no goodbye");
    let Some(Ok(Message::Close(Some(frame)))) = close else {
        panic!("{close:?}");
    };
    assert_eq!(u16::from(frame.code), 1001);
    let after = ask(&mut probe, ready).await;
    assert!(after.starts_with("HTTP/1.1 503"), "{after}");
    assert!(after.contains(r#""code":"draining""#), "{after}");
    assert!(after.contains("connection: close"), "{after}");
    let goodbye = async {
        loop {
            if let Err(error) = packets.poll().await {
                return error.to_string();
            }
        }
    };
    let reason = timeout(PATIENCE, goodbye).await.expect("no DISCONNECT");
    assert!(reason.contains("ServerShuttingDown"), "{reason}");
    until("no more clients", async || {
        TcpStream::connect(http).await.is_err().then_some(())
    })
    .await;
    let _ = socket.close(None).await;
    assert!(gateway.ended().await.success());
    assert!(since.elapsed() < DRAIN_DEADLINE);
}

/// What systemd hears, one message at a time.
struct Systemd(UnixDatagram);

impl Systemd {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    async fn hear(&self) -> String {
        until("a word to systemd", async || {
            let mut bytes = [0; 512];
            let length = self.0.recv(&mut bytes).ok()?;
            let text = String::from_utf8_lossy(&bytes[..length]);
            Some(text.trim().to_owned())
        })
        .await
    }

    /// The next word that is not the watchdog's.
    async fn hear_news(&self) -> String {
        loop {
            let text = self.hear().await;
            if text != "WATCHDOG=1" {
                return text;
            }
        }
    }
}

#[tokio::test]
async fn systemd_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let systemd = Systemd::listen(&path);
    let mut command = command(folder.path(), "");
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID");
    let gateway = Gateway::spawn(&folder, command).await;
    assert_eq!(systemd.hear_news().await, "READY=1");
    for _ in 0..3 {
        assert_eq!(systemd.hear().await, "WATCHDOG=1");
    }
    gateway.signal(Signal::HUP);
    let reloading = systemd.hear_news().await;
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let since = since.and_then(|since| since.parse::<u64>().ok());
    assert!(since.is_some_and(|since| since > 0), "{reloading}");
    assert_eq!(systemd.hear_news().await, "READY=1");
    gateway.signal(Signal::TERM);
    assert_eq!(systemd.hear_news().await, "STOPPING=1");
    assert!(gateway.ended().await.success());
}
