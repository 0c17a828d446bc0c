//! What clients may take, and what it costs the others.

use std::io::ErrorKind;
use std::time::Duration;

use reqwest::Client;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use ashya_protocol::rest::Credentials;

use crate::device::Device;
use crate::rig::{Gateway, PATIENCE, command, until};

/// Reads to the end; true when it came in time.
async fn ends(stream: &mut TcpStream, within: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(within, stream.read_to_end(&mut rest)).await.is_ok()
}

async fn live(gateway: &Gateway) -> Duration {
    let asked = Instant::now();
    let url = format!("http://{}/v1/health/live", gateway.address("http"));
    let answer = timeout(PATIENCE, reqwest::get(url)).await;
    assert_eq!(answer.expect("no answer").unwrap().status(), 200);
    asked.elapsed()
}

#[tokio::test]
async fn slow_heads_and_bodies_and_readers_are_given_up() {
    let folder = TempDir::new().unwrap();
    let limits = "[http]\nhead_timeout_seconds = 1\nrequest_timeout_seconds = 1\nwrite_timeout_seconds = 1\n";
    let gateway = Gateway::start(&folder, limits).await;
    let http = gateway.address("http");
    for said in [
        "",
        "GET /v1/health/live HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        "POST /v1/auth/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        "GET /v1/health/live HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(http).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        assert!(ends(&mut stream, PATIENCE).await, "{said:?} stays");
    }
    // Asks on and on and reads nothing, until neither side's buffers take more.
    let stream = TcpStream::connect(http).await.unwrap();
    let (_unread, mut asking) = stream.into_split();
    let request = "GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let gives_up = async {
        loop {
            if let Err(error) = asking.write_all(request.as_bytes()).await {
                return error.kind();
            }
        }
    };
    let error = timeout(PATIENCE, gives_up).await.expect("it may go on");
    assert!(
        matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
}

#[tokio::test]
async fn thousands_of_idle_connections_keep_nobody_out() {
    // What this process may open is what it can try.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let crowd = 10_000.min(files.saturating_sub(256));
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::start(&folder, "").await;
    let mut idle = Vec::new();
    for number in 0..crowd {
        let mut stream = TcpStream::connect(gateway.address("http")).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        }
        idle.push(stream);
    }
    let took = live(&gateway).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(
        !gateway.log().contains("cannot accept"),
        "{}",
        gateway.log()
    );
}

/// A camera that is logged in.
async fn log_in(gateway: &Gateway, credentials: &Credentials) -> (AsyncClient, EventLoop) {
    let mqtt = gateway.address("mqtt");
    let name = &credentials.username;
    let mut options = MqttOptions::new(name, mqtt.ip().to_string(), mqtt.port());
    options.set_credentials(name, &credentials.password);
    options.set_inflight(100);
    let (client, mut packets) = AsyncClient::new(options, 100);
    let connected = timeout(PATIENCE, packets.poll()).await.unwrap().unwrap();
    assert!(matches!(connected, Event::Incoming(Packet::ConnAck(_))));
    (client, packets)
}

/// The slowest of so many publishes, each until it is acknowledged.
async fn slowest(
    device: &Device,
    client: &AsyncClient,
    packets: &mut EventLoop,
    seqs: std::ops::Range<u64>,
) -> Duration {
    let mut slowest = Duration::ZERO;
    for seq in seqs {
        let began = Instant::now();
        let envelope = device.envelope(seq, 100);
        let qos = QoS::AtLeastOnce;
        client
            .publish(device.up(), qos, false, envelope)
            .await
            .unwrap();
        let acknowledged = async {
            while !matches!(
                packets.poll().await.unwrap(),
                Event::Incoming(Packet::PubAck(_))
            ) {}
        };
        timeout(PATIENCE, acknowledged).await.expect("no answer");
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

/// kB of memory that a process holds.
fn resident(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.unwrap().trim().trim_end_matches(" kB");
    words.trim().parse().unwrap()
}

#[tokio::test]
async fn a_device_that_floods_is_held_up_alone() {
    let folder = TempDir::new().unwrap();
    let rates = "[mqtt]\nmessages_per_second = 100\nbytes_per_second = 1000000\n";
    let gateway = Gateway::start(&folder, rates).await;
    let base = format!("http://{}", gateway.address("http"));
    let (loud, quiet) = (Device::new(1), Device::new(2));
    let client = Client::new();
    let [loud_in, quiet_in] = [
        loud.register(&client, &base).await,
        quiet.register(&client, &base).await,
    ];
    let (flood, mut flooding) = log_in(&gateway, &loud_in).await;
    let (client, mut packets) = log_in(&gateway, &quiet_in).await;
    flood
        .subscribe(loud.notices(), QoS::AtMostOnce)
        .await
        .unwrap();
    let envelopes: Vec<_> = (1..=2_000).map(|seq| loud.envelope(seq, 5_000)).collect();
    let up = loud.up();
    let publisher = tokio::spawn(async move {
        for envelope in envelopes {
            let qos = QoS::AtLeastOnce;
            if flood.publish(&up, qos, false, envelope).await.is_err() {
                return;
            }
        }
    });
    let hears = tokio::spawn(async move {
        let (mut acknowledged, mut notices) = (0, Vec::new());
        let until = Instant::now() + Duration::from_secs(4);
        while let Ok(event) = tokio::time::timeout_at(until, flooding.poll()).await {
            match event.unwrap() {
                Event::Incoming(Packet::PubAck(_)) => acknowledged += 1,
                Event::Incoming(Packet::Publish(publish)) => notices.push(publish.payload),
                _ => {}
            }
        }
        (acknowledged, notices)
    });
    until("the flood is held up", async || {
        let held = gateway.metric("ashya_publishes_held_total").await?;
        (held != "0").then_some(())
    })
    .await;
    let before = resident(&gateway);
    let took = slowest(&quiet, &client, &mut packets, 1..30).await;
    let (acknowledged, notices) = hears.await.unwrap();
    let grown = resident(&gateway).saturating_sub(before);
    publisher.abort();
    assert!(took < Duration::from_millis(500), "{took:?}");
    // Two seconds' worth at once, then so many a second.
    assert!((200..900).contains(&acknowledged), "{acknowledged}");
    assert_eq!(notices.len(), 1, "told once in a while");
    let notice = String::from_utf8_lossy(&notices[0]).into_owned();
    assert!(notice.contains(r#""reason":"too-fast""#), "{notice}");
    assert!(grown < 20_000, "{grown} kB more");
}

#[test]
fn limits_are_checked() {
    let folder = TempDir::new().unwrap();
    for (settings, says) in [
        ("[http]\nmax_connections = 0", "http.max_connections"),
        ("[http]\nwrite_timeout_seconds = 0", "http.write_timeout"),
        ("[mqtt]\nmax_connections = 0", "mqtt.max_connections"),
    ] {
        let ended = command(folder.path(), settings).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
