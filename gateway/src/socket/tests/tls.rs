//! The same rules where the connection is encrypted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::ws::{SUBPROTOCOL_BINARY, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::world::{ALICE, FEED, PATIENCE, START, World};
use crate::entrance::{Entrance, PlaceLimits, Places, Speaks, Tls, TlsConfig};

struct Secure {
    world: World,
    trusted: CertificateDer<'static>,
    _folder: TempDir,
}

impl Secure {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["gate.example".to_owned()]).unwrap();
        let signed = params.self_signed(&pair).unwrap();
        fs::write(&certificate, signed.pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let tls = Tls::load(&TlsConfig { certificate, key }).unwrap();
        let limits = PlaceLimits {
            in_all: 100,
            ..PlaceLimits::default()
        };
        let places = Places::new(limits, Default::default());
        let enter = |listener| Entrance::secure(listener, places, tls, Speaks::Http);
        Self {
            world: World::behind(enter).await,
            trusted: signed.der().clone(),
            _folder: folder,
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // As browsers ask: the answer must be the one that a websocket can use.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.world.address).await.unwrap();
        let name = ServerName::try_from("gate.example").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.unwrap();
        let chosen = stream.get_ref().1.alpn_protocol();
        assert_eq!(chosen, Some(b"http/1.1".as_slice()));
        stream
    }

    /// An open event stream.
    async fn event_stream(&self) -> TlsStream<TcpStream> {
        let mut stream = self.connect().await;
        let token = self.world.parts.sessions.issue(ALICE).token;
        let head = format!(
            "GET /v1/feeds/{FEED}/events HTTP/1.1\r\nhost: gate.example\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        self.world.until_open(1, PATIENCE).await;
        stream
    }
}

#[tokio::test]
async fn events_of_any_size_arrive_as_they_were_signed() {
    let secure = Secure::start().await;
    let world = &secure.world;
    world.subscribe(FEED, ALICE, START + 600);
    let mut request = "wss://gate.example/v1/ws".into_client_request().unwrap();
    let subprotocol = SUBPROTOCOL_BINARY.parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", subprotocol);
    let (mut socket, _) = client_async(request, secure.connect().await).await.unwrap();
    let token = world.parts.sessions.issue(ALICE).token;
    for text in [
        format!(r#"{{"type":"auth","token":"{token}"}}"#),
        format!(r#"{{"type":"watch","feed":"{FEED}"}}"#),
    ] {
        socket.send(Frame::text(text)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let answer: ServerMessage = serde_json::from_str(&answer).unwrap();
        let expected = matches!(
            answer,
            ServerMessage::Welcome { .. } | ServerMessage::Watching { .. }
        );
        assert!(expected, "{answer:?}");
    }
    for seq in 1..50 {
        let envelope = world.publish("detections", seq);
        world.publish_sized("frames", seq, 300_000);
        let mut pictures = 0;
        let mut same = 0;
        while pictures + same < 2 {
            let frame = timeout(PATIENCE, socket.next()).await.expect("nothing");
            let bytes = frame.unwrap().unwrap().into_data();
            if bytes.len() > 300_000 {
                pictures += 1;
            } else {
                assert_eq!(bytes, envelope);
                same += 1;
            }
        }
    }
    socket.close(None).await.unwrap();
    world.until_open(0, PATIENCE).await;
}

#[tokio::test]
async fn a_stalled_reader_gets_nothing_after_expiry() {
    let secure = Secure::start().await;
    let world = &secure.world;
    let until = world.parts.clock.now_seconds() + 4;
    world.subscribe(FEED, ALICE, until);
    let mut stream = secure.event_stream().await;
    world.publish_flood(150).await;
    assert!(
        world.milliseconds() < 3_900,
        "too slow a machine for this test"
    );
    let left = Duration::from_millis((until - START) * 1_000 - world.milliseconds());
    world.until_open(0, left + Duration::from_millis(200)).await;
    // What the kernel had is all that comes, and not what rustls would have kept.
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("no end"));
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("event: watching") && !text.contains("event: ended"));
}

#[tokio::test]
async fn an_event_stream_goes_on_and_ends_with_the_paid_time() {
    let secure = Secure::start().await;
    let world = &secure.world;
    world.subscribe(FEED, ALICE, world.parts.clock.now_seconds() + 2);
    let mut stream = secure.event_stream().await;
    for seq in 1..20 {
        world.publish("detections", seq);
        sleep(Duration::from_millis(5)).await;
    }
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // The stream is shut in order, by TLS too.
    read.expect("no end").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("event: event").count(), 19, "{text}");
    assert!(text.contains("event: ended"));
}
