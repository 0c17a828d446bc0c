//! Sockets that are open and ask for nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::ClientMessage;
use ashya_tests::{Opcode, RawSocket, frame};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::shop::attacked;
use crate::{report, scaled};

/// Handshakes at a time.
const AT_ONCE: usize = 32;
/// Sockets of one wallet, below what one may have.
const PER_WALLET: usize = 1_000;
/// Most memory of the gateway for one of them in bytes; the bench measures it more closely.
const BYTES_EACH: u64 = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_idle_sockets_costs_little() {
    attacked(async |shop| {
        let count = scaled(1_000, 10_000);
        let gateway = shop.http();
        let mut tokens = Vec::new();
        for _ in 0..count.div_ceil(PER_WALLET) {
            tokens.push(shop.token().await?);
        }
        let before = shop.memory_kb()?;
        let started = Instant::now();
        let sockets = (0..count).map(|number| {
            let token = tokens[number / PER_WALLET].clone();
            async move {
                let mut socket = RawSocket::open(gateway).await?;
                let auth = serde_json::to_vec(&ClientMessage::Auth { token })?;
                socket.send(&frame(Opcode::Text, &auth)).await?;
                let welcome = socket.next().await?.context("no welcome")?;
                ensure!(welcome.payload.starts_with(b"{\"type\":\"welcome\""));
                anyhow::Ok(socket)
            }
        });
        let mut sockets: Vec<RawSocket> = stream::iter(sockets)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let opened = started.elapsed();
        let bytes = shop.memory_kb()?.saturating_sub(before) * 1_000 / count as u64;
        ensure!(bytes < BYTES_EACH, "{bytes} bytes each");
        let (_, slowest) = shop.deliveries(20).await?;
        ensure!(
            slowest < Duration::from_secs(2),
            "an event took {slowest:?}"
        );
        // They are alive, the first as well as the last.
        for socket in [0, count - 1] {
            let socket = &mut sockets[socket];
            socket
                .send(&frame(Opcode::Text, br#"{"type":"ping"}"#))
                .await?;
            while socket.next().await?.context("closed")?.opcode != Opcode::Text {}
        }
        report(
            "idle sockets, signed in",
            &format!("{count} sockets"),
            &format!(
                "{bytes} bytes each; all open after {:.1} s; slowest delivery beside them {} ms",
                opened.as_secs_f64(),
                slowest.as_millis()
            ),
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_frames_and_large_claims_cost_nothing() {
    attacked(async |shop| {
        let count = scaled(40, 1_000);
        let (gateway, token) = (shop.http(), shop.token().await?);
        let before = shop.memory_kb()?;
        let auth = serde_json::to_vec(&ClientMessage::Auth { token })?;
        let million = frame(Opcode::Binary, &vec![0xfe; 1 << 20]);
        let claim = ashya_tests::head_of(0x82, 1 << 20);
        let endless = ashya_tests::head_of(0x81, u64::MAX);
        for (what, attack) in [
            ("sent", &million),
            ("claimed", &claim),
            ("endless", &endless),
        ] {
            let sockets = (0..count).map(|_| async {
                let mut socket = RawSocket::open(gateway).await?;
                socket.send(&frame(Opcode::Text, &auth)).await?;
                socket.next().await?.context("no welcome")?;
                // A gateway that has had enough may close while we still send.
                let _ = socket.send(attack).await;
                while let Some(said) = socket.next().await? {
                    if said.opcode == Opcode::Close {
                        let _ = socket.finish().await;
                    }
                }
                anyhow::Ok(())
            });
            let () = stream::iter(sockets)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
                .with_context(|| what)?;
        }
        let mqtt = shop.world.gateway.addresses().mqtt;
        for _ in 0..count {
            claim_by_mqtt(mqtt).await?;
        }
        let grown = shop.memory_kb()?.saturating_sub(before);
        ensure!(grown < 48_000, "{grown} kB more");
        let (_, slowest) = shop.deliveries(10).await?;
        report(
            "frames of 1 MiB, sent and only claimed; MQTT packets that claim 256 MB",
            &format!("{} connections", 4 * count),
            &format!(
                "all closed; {grown} kB more; slowest delivery after it {} ms",
                slowest.as_millis()
            ),
        );
        Ok(())
    })
    .await;
}

/// A CONNECT that claims to be as long as any may be.
async fn claim_by_mqtt(broker: std::net::SocketAddr) -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(broker).await?;
    stream
        .write_all(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04")
        .await?;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    let _ = end.await.context("the broker waits for 256 MB")?;
    ensure!(answer.is_empty(), "{answer:?}");
    Ok(())
}
