//! Bytes that no honest client sends. Each door answers or closes, and the gateway stays well.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::FeedId;
use ashya_protocol::limits::{MAX_CLIENT_MESSAGE_BYTES, MAX_REST_BODY_BYTES};
use ashya_protocol::ws::{ClientMessage, ErrorCode, ServerMessage};
use ashya_tests::{FeedPlan, Subprotocol, Watcher, World};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::in_world;

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn rest_answers_nonsense_with_problem_documents() {
    in_world(async |world| {
        let feed = FeedId::new([7; 32]);
        let deep = "[".repeat(50_000);
        let long = format!("\"{}\"", "x".repeat(MAX_REST_BODY_BYTES + 1));
        for (method, path, body) in [
            (Method::POST, "/v1/devices".to_owned(), "{}".to_owned()),
            (
                Method::POST,
                "/v1/devices".into(),
                "\u{0}\u{1}garbage".into(),
            ),
            (Method::POST, "/v1/devices".into(), deep.clone()),
            (Method::POST, "/v1/devices".into(), long.clone()),
            (
                Method::POST,
                "/v1/auth/session".into(),
                "{\"message\":1}".into(),
            ),
            (Method::POST, "/v1/auth/session".into(), deep),
            (
                Method::POST,
                "/v1/auth/session".into(),
                "{\"message\":\"x\",\"signature\":\"0x\"}".into(),
            ),
            (Method::GET, "/v1/devices/0x".into(), String::new()),
            (Method::GET, "/v1/devices/not-an-id".into(), String::new()),
            (Method::GET, format!("/v1/feeds/{feed}"), String::new()),
            (
                Method::GET,
                format!("/v1/feeds/{feed}/listing"),
                String::new(),
            ),
            (
                Method::GET,
                format!("/v1/feeds/{feed}/events"),
                String::new(),
            ),
            (
                Method::PUT,
                format!("/v1/feeds/{feed}/listing"),
                "{}".into(),
            ),
            (Method::PUT, format!("/v1/feeds/{feed}/listing"), long),
            (
                Method::GET,
                "/v1/feeds/..%2f..%2fetc%2fpasswd".into(),
                String::new(),
            ),
            (Method::GET, "/v1/me/subscriptions".into(), String::new()),
            (Method::GET, "/v1/no-such-thing".into(), String::new()),
            (Method::DELETE, "/v1/chain".into(), String::new()),
        ] {
            let name = format!("{method} {path} {:.30}", body);
            let request = world.api().request(method, &path)?;
            let request = request
                .header("content-type", "application/json")
                .body(body);
            let answer = world
                .api()
                .send(request)
                .await
                .with_context(|| name.clone())?;
            ensure!(answer.status.is_client_error(), "{name}: {answer:?}");
            let problem = answer.problem().with_context(|| name.clone())?;
            ensure!(
                !problem.code.is_empty() && !problem.detail.is_empty(),
                "{name}: {problem:?}"
            );
        }
        for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            let request = world.api().request(Method::GET, "/v1/me/subscriptions")?;
            let answer = world.api().send(request.bearer_auth(token)).await?;
            ensure!(answer.status == 401, "token {token:?}: {answer:?}");
        }
        healthy(world).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_a_good_token_is_closed() {
    in_world(async |world| {
        let (base, domain) = (world.api().base().clone(), world.domain());
        let auth = |token: &str| {
            let token = token.to_owned();
            Message::text(serde_json::to_string(&ClientMessage::Auth { token }).unwrap())
        };
        let watch = r#"{"type":"watch","feed":"0x0707070707070707070707070707070707070707070707070707070707070707"}"#;
        for (name, message, code) in [
            ("watch before auth", Message::text(watch), None),
            ("a bad token", auth("nonsense"), Some(4001)),
            ("an unsigned token", auth("eyJhbGciOiJub25lIn0.e30."), Some(4001)),
            ("garbage", Message::text("\u{7f}{{{"), None),
            ("an unknown message", Message::text(r#"{"type":"sudo"}"#), None),
            ("bytes", Message::binary(vec![0xff; 100]), None),
            ("a long message", Message::text("x".repeat(MAX_CLIENT_MESSAGE_BYTES + 1)), None),
            ("a very long message", Message::binary(vec![0; 8 << 20]), None),
        ] {
            let mut socket = Watcher::open(&base, domain, Subprotocol::Binary).await?;
            // A gateway that has had enough may close while we still send.
            let _ = socket.say_raw(message).await;
            let closed = socket.closed(ANSWER_LIMIT).await.with_context(|| name)?;
            if let Some(code) = code {
                ensure!(closed == Some(code), "{name}: closed with {closed:?}");
            }
        }
        healthy(world).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_websocket_gets_answers_to_nonsense() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000);
        let feed = world
            .open_device_feed(&device, &owner, "gate", plan)
            .await?;
        let mut socket = world.watcher(&owner).await?;
        let unknown = socket.watch(FeedId::new([7; 32])).await?;
        ensure!(is_error(&unknown, ErrorCode::UnknownFeed), "{unknown:?}");
        socket
            .say(&ClientMessage::Watch {
                feed: feed.id,
                streams: Some(vec!["secrets".parse()?]),
                since: Default::default(),
            })
            .await?;
        let stream = socket.control(ANSWER_LIMIT).await?;
        ensure!(is_error(&stream, ErrorCode::UnknownStream), "{stream:?}");
        socket.say(&ClientMessage::Ping {}).await?;
        ensure!(socket.control(ANSWER_LIMIT).await? == ServerMessage::Pong {});
        for _ in 0..3 {
            socket.watch_paid(feed.id).await?;
            socket
                .say(&ClientMessage::Unwatch { feed: feed.id })
                .await?;
        }
        socket
            .say(&ClientMessage::Unwatch { feed: feed.id })
            .await?;
        socket.say(&ClientMessage::Ping {}).await?;
        loop {
            if socket.control(ANSWER_LIMIT).await? == (ServerMessage::Pong {}) {
                break;
            }
        }
        healthy(world).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_and_the_web_server_survive_raw_bytes() {
    in_world(async |world| {
        let addresses = world.gateway.addresses();
        let connect_without_credentials =
            b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc".to_vec();
        let endless = {
            let mut bytes = vec![0x30, 0xff, 0xff, 0xff, 0x7f];
            bytes.extend_from_slice(&[0; 1 << 16]);
            bytes
        };
        for (name, bytes) in [
            (
                "random bytes",
                (0..4096_u32)
                    .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                    .collect(),
            ),
            (
                "http to the broker",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            ),
            ("connect without credentials", connect_without_credentials),
            ("publish before connect", b"\x30\x05\x00\x03a/bX".to_vec()),
            ("a packet of 256 MB", endless),
            (
                "a bad remaining length",
                b"\x10\xff\xff\xff\xff\xff".to_vec(),
            ),
            ("half a connect", b"\x10\x0f\x00\x04MQ".to_vec()),
            (
                "an unknown protocol",
                b"\x10\x0c\x00\x04XXXX\x09\x02\x00\x3c\x00\x00".to_vec(),
            ),
        ] {
            for (door, address) in [("mqtt", addresses.mqtt), ("http", addresses.http)] {
                let answer = throw(address, &bytes).await?;
                let connected =
                    door == "mqtt" && answer.starts_with(&[0x20]) && answer.get(3) == Some(&0);
                ensure!(!connected, "{name} was let in at {door}");
            }
        }
        healthy(world).await
    })
    .await;
}

/// Sends bytes, closes the writing side, and returns what comes back within a second.
async fn throw(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).await?;
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut answer)).await;
    answer.truncate(read.ok().and_then(Result::ok).unwrap_or(0));
    Ok(answer)
}

fn is_error(message: &ServerMessage, expected: ErrorCode) -> bool {
    matches!(message, ServerMessage::Error { code, .. } if *code == expected)
}

/// The gateway is alive and ready, and serves a newcomer from registration to the first event.
async fn healthy(world: &mut World) -> Result<()> {
    world.gateway.process().check_running()?;
    for path in ["/v1/health/live", "/v1/health/ready"] {
        let answer = world.api().get(path).await?;
        ensure!(answer.status.is_success(), "{path}: {answer:?}");
    }
    let owner = world.account().await?;
    let mut device = world.device(&owner, &["detections"]).await?;
    let plan = FeedPlan::detections("After", 1_000);
    let feed = world
        .open_device_feed(&device, &owner, "after", plan)
        .await?;
    let mut watcher = world.watcher(&owner).await?;
    watcher.watch_paid(feed.id).await?;
    let mut mqtt = device.connect().await?;
    device.emit(&mut mqtt, "detections", b"{}").await?;
    watcher.event(ANSWER_LIMIT).await?;
    Ok(())
}
