//! RFC 6455 at the gateway's own socket, by the sections of the Autobahn suite's fuzzing client.
//!
//! That suite expects a server that echoes. This one has rules of its own: the first message signs in, a text is a control
//! message of at most 16 KiB, bytes are none. So where Autobahn expects an echo, a text of an unknown type is sent, whose name
//! comes back in the answer; a message of bytes, or one too large, ends the socket with the gateway's code for a broken
//! protocol, 4000, which also stands for the RFC's 1002, 1007 and 1009. Sections 12 and 13 (compression) do not apply:
//! the handshake offers no extension, and the opening of each socket here asks for one in vain.

mod rows;

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::ClientMessage;
use ashya_tests::{FeedPlan, Opcode, RawSocket, World, frame};

use crate::in_world;
use rows::{Expected, Row};

/// Longest row that is also sent byte by byte.
const CHOPPED_BYTES: usize = 300;
/// A control message that is answered.
const PING: &[u8] = br#"{"type":"ping"}"#;
const PONG: &[u8] = br#"{"type":"pong"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_websocket_keeps_the_rules_of_rfc_6455() {
    in_world(async |world| {
        let owner = world.account().await?;
        let token = world.sign_in(&owner).await?.token;
        let rows = rows::all();
        ensure!(rows.len() > 200, "only {} rows", rows.len());
        let mut broken = Vec::new();
        for row in &rows {
            let whole = row.bytes.len().max(1);
            let steps = [whole, 1].into_iter();
            for step in steps.filter(|step| *step == whole || whole <= CHOPPED_BYTES) {
                if let Err(error) = check(world, &token, row, step).await {
                    broken.push(format!("{}, {step} bytes at a time: {error:#}", row.name));
                }
            }
        }
        ensure!(broken.is_empty(), "{}", broken.join("\n"));
        eprintln!("{} rows", rows.len());
        still_sells(world).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_refused() {
    in_world(async |world| {
        let gateway = world.gateway.addresses().http;
        let good = "dGhlIHNhbXBsZSBub25jZQ==";
        for (name, version, key, more, status) in [
            ("version 13", "13", good, "", "101"),
            ("version 12", "12", good, "", "426"),
            ("no version", "", good, "", "426"),
            ("no key", "13", "", "", "400"),
            (
                "another protocol",
                "13",
                good,
                "Sec-WebSocket-Protocol: mqtt\r\n",
                "400",
            ),
        ] {
            let (answer, _stream) = RawSocket::shake_hands(gateway, version, key, more)
                .await
                .with_context(|| name)?;
            ensure!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{name}: {answer}"
            );
            // Section 4.4: a server that refuses a version says which one it speaks.
            let names = answer
                .to_ascii_lowercase()
                .contains("sec-websocket-version: 13\r\n");
            ensure!(names == (status == "426"), "{name}: {answer}");
        }
        still_sells(world).await
    })
    .await;
}

/// Sends the bytes of a row so many at a time on a socket of its own.
async fn check(world: &World, token: &str, row: &Row, step: usize) -> Result<()> {
    let mut socket = signed_in(world, token).await?;
    for bytes in row.bytes.chunks(step) {
        // A gateway that has had enough may close while we still send.
        if socket.send(bytes).await.is_err() {
            break;
        }
    }
    let stays = matches!(row.expected, Expected::Stays { .. });
    if stays {
        socket.send(&frame(Opcode::Text, PING)).await?;
    }
    let (mut texts, mut pongs, mut goodbye) = (Vec::new(), Vec::new(), None);
    while let Some(said) = socket.next().await? {
        match said.opcode {
            Opcode::Text if stays && said.payload == PONG => break,
            Opcode::Text => texts.push(String::from_utf8(said.payload)?),
            Opcode::Pong => pongs.push(said.payload),
            Opcode::Close => {
                goodbye = Some(said.payload);
                // A good client says goodbye too, and the gateway then closes.
                let _ = socket.finish().await;
            }
            other => anyhow::bail!("the gateway sent {other:?}"),
        }
    }
    let code = match goodbye.as_deref() {
        Some([high, low, ..]) => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    };
    match &row.expected {
        Expected::Stays {
            echoes,
            pongs: asked,
        } => {
            ensure!(goodbye.is_none(), "closed with {code:?}");
            ensure!(
                texts.len() == echoes.len(),
                "{} answers: {texts:?}",
                texts.len()
            );
            for (text, echo) in texts.iter().zip(echoes) {
                ensure!(text.contains(echo.as_str()), "{echo:?} is not in {text:?}");
            }
            ensure!(pongs == *asked, "pongs {pongs:?}");
        }
        Expected::Closes(expected) => {
            ensure!(
                goodbye.is_some() && code == *expected,
                "goodbye {goodbye:?}"
            );
            ensure!(texts.is_empty(), "answers {texts:?}");
        }
        // What the gateway has not read when it closes makes the kernel take back what it has said.
        Expected::Refused => ensure!(code.is_none_or(|code| code == 4000), "closed with {code:?}"),
    }
    Ok(())
}

async fn signed_in(world: &World, token: &str) -> Result<RawSocket> {
    let mut socket = RawSocket::open(world.gateway.addresses().http).await?;
    let token = token.to_owned();
    let auth = serde_json::to_vec(&ClientMessage::Auth { token })?;
    socket.send(&frame(Opcode::Text, &auth)).await?;
    let welcome = socket.next().await?.context("no welcome")?;
    let text = String::from_utf8(welcome.payload)?;
    ensure!(text.contains(r#""type":"welcome""#), "{text}");
    Ok(socket)
}

/// Whoever has paid still gets events.
async fn still_sells(world: &mut World) -> Result<()> {
    world.gateway.process().check_running()?;
    let owner = world.account().await?;
    let viewer = world.account().await?;
    let mut device = world.device(&owner, &["detections"]).await?;
    let plan = FeedPlan::detections("After", 1_000);
    let feed = world
        .open_device_feed(&device, &owner, "after", plan)
        .await?;
    world.subscribe(&viewer, feed, 600).await?;
    let mut watcher = world.watcher(&viewer).await?;
    watcher.watch_once_paid(feed.id).await?;
    let mut mqtt = device.connect().await?;
    device.emit(&mut mqtt, "detections", b"{}").await?;
    watcher.event(std::time::Duration::from_secs(10)).await?;
    Ok(())
}
