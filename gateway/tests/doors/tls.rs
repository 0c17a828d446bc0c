//! Listeners that speak TLS.

use std::fs;
use std::process::Command;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Certificate, Client};
use rustix::process::Signal;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::device::Device;
use crate::rig::{Authority, Gateway, PATIENCE, command, tls_settings, until};

const EXPIRY: &str = "ashya_tls_certificate_expiry_timestamp_seconds";

/// A client that trusts the authority alone.
fn client(authority: &Authority) -> Client {
    let trusted = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([trusted])
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

async fn shown(authority: &Authority, gateway: &Gateway, door: &str) -> CertificateDer<'static> {
    let stream = authority.connect(gateway.address(door)).await;
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn rest_websocket_and_devices_are_served_by_tls() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.issue(folder.path(), 2_100);
    let gateway = Gateway::start(&folder, &tls_settings(folder.path())).await;
    let (client, http) = (client(&authority), gateway.address("http"));
    let base = format!("https://{http}");
    let live = client.get(format!("{base}/v1/health/live")).send().await;
    assert_eq!(live.unwrap().status(), 200);

    let stream = authority.connect(http).await;
    let url = format!("wss://{http}/v1/ws");
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let hello = Message::text(r#"{"type":"auth","token":"nonsense"}"#);
    socket.send(hello).await.unwrap();
    let mut codes = Vec::new();
    while let Some(Ok(message)) = timeout(PATIENCE, socket.next()).await.expect("no end") {
        if let Message::Close(frame) = message {
            codes.extend(frame.map(|frame| u16::from(frame.code)));
        }
    }
    assert_eq!(codes, [4001]);

    let device = Device::new(1);
    let credentials = device.register(&client, &base).await;
    let port = gateway.address("mqtt").port();
    assert_eq!(credentials.mqtt_port, port);
    assert_eq!(credentials.mqtt_tls_port, Some(port));
    let tunnel = authority.tunnel(gateway.address("mqtt")).await;
    device.publish(tunnel, &credentials, 1).await;
    let accepted = gateway.metric("ashya_events_accepted_total").await;
    assert_eq!(accepted.as_deref(), Some("1"));
}

#[tokio::test]
async fn devices_may_have_a_door_for_tls_beside_the_other() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.issue(folder.path(), 2_100);
    let settings = tls_settings(folder.path()) + "[mqtt]\ntls_listen = \"127.0.0.1:0\"\n";
    let gateway = Gateway::start(&folder, &settings).await;
    let base = format!("https://{}", gateway.address("http"));
    let device = Device::new(1);
    let credentials = device.register(&client(&authority), &base).await;
    let port = gateway.address("mqttTls").port();
    assert_eq!(credentials.mqtt_tls_port, Some(port));
    device
        .publish(gateway.address("mqtt"), &credentials, 1)
        .await;
    let tunnel = authority.tunnel(gateway.address("mqttTls")).await;
    device.publish(tunnel, &credentials, 2).await;
    let accepted = gateway.metric("ashya_events_accepted_total").await;
    assert_eq!(accepted.as_deref(), Some("2"));
}

#[tokio::test]
async fn sighup_shows_a_renewed_certificate_and_never_a_bad_one() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let first = authority.issue(folder.path(), 2_100);
    let gateway = Gateway::start(&folder, &tls_settings(folder.path())).await;
    assert_eq!(shown(&authority, &gateway, "http").await, first);
    assert_eq!(gateway.metric(EXPIRY).await.as_deref(), Some("4133894400"));

    let second = authority.issue(folder.path(), 2_101);
    gateway.signal(Signal::HUP);
    until("the new certificate", async || {
        (shown(&authority, &gateway, "http").await == second).then_some(())
    })
    .await;
    assert_eq!(shown(&authority, &gateway, "mqtt").await, second);
    assert_eq!(gateway.metric(EXPIRY).await.as_deref(), Some("4165430400"));

    fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    gateway.signal(Signal::HUP);
    gateway
        .until_logged("the old certificate is shown on")
        .await;
    assert_eq!(shown(&authority, &gateway, "http").await, second);
}

#[tokio::test]
async fn who_does_not_speak_tls_is_sent_away_in_order() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.issue(folder.path(), 2_100);
    let gateway = Gateway::start(&folder, &tls_settings(folder.path())).await;
    for (door, said) in [
        (
            "http",
            &b"GET /v1/health/live HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        ),
        ("mqtt", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"),
    ] {
        let mut stream = TcpStream::connect(gateway.address(door)).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // At most an alert (21), and an end that is no reset.
        read.expect("no end").unwrap();
        assert!(matches!(answer.first(), None | Some(21)), "{answer:?}");
    }
    // Whoever says nothing keeps nobody out.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(gateway.address("http")).await.unwrap());
    }
    let url = format!("https://{}/v1/health/live", gateway.address("http"));
    let asked = timeout(Duration::from_secs(5), client(&authority).get(url).send());
    assert_eq!(asked.await.expect("kept out").unwrap().status(), 200);
}

#[test]
fn a_pair_that_cannot_be_used_is_one_line_and_exit_code_64() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.issue(folder.path(), 2_100);
    let key = folder.path().join("key.pem");
    let settings = tls_settings(folder.path());
    let only_key = settings.lines().filter(|line| !line.starts_with("cert"));
    let only_key = only_key.collect::<Vec<_>>().join("\n");
    let beside = "[mqtt]\ntls_listen = \"127.0.0.1:0\"".to_owned();
    for (settings, secret, says) in [
        (&settings, Some("no key"), "holds no private key"),
        (&settings, None, "key.pem"),
        (&only_key, None, "tls.certificate: the key needs"),
        (&beside, None, "mqtt.tls_listen: needs tls.certificate"),
    ] {
        match secret {
            Some(text) => fs::write(&key, text).unwrap(),
            None => drop(fs::remove_file(&key)),
        }
        let ended = command(folder.path(), settings).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(says), "{said}");
    }
}

#[test]
fn check_says_how_long_the_certificate_is_good() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    for (days, says) in [
        (90, "tls      ok: the certificate is good for 90 days"),
        (10, "tls      WARNING: the certificate ends in 10 days"),
        (-1, "tls      FAILED: the certificate has ended"),
    ] {
        let end = OffsetDateTime::now_utc() + time::Duration::hours(24 * days + 12);
        authority.issue_until(folder.path(), end);
        let run = command(folder.path(), &tls_settings(folder.path()));
        // The same flags, and another command.
        let args = run.get_args().skip(1);
        let mut check = Command::new(run.get_program());
        let ended = check.arg("check").args(args).output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(said.contains(says), "{days}: {said}");
        assert!(said.contains("files    "), "{said}");
    }
}
