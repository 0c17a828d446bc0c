//! Clients that begin and do not go on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::shop::attacked;
use crate::{report, scaled};

/// A byte as often as this keeps a client from looking dead.
const DRIP: Duration = Duration::from_millis(500);
/// The gateway waits 15 s for the head of a request and 10 s for a CONNECT; this allows for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);
/// The metrics have places for so many; more would wait in the kernel for one of these to be closed.
const SCRAPERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_is_closed_and_delays_nobody() {
    attacked(async |shop| {
        let each = scaled(100, 1_500);
        let addresses = shop.world.gateway.addresses();
        let before = shop.memory_kb()?;
        let started = Instant::now();
        let mut crowd = JoinSet::new();
        for (door, clients, beginning) in [
            (addresses.http, each, &b"GET /v1/feeds HTTP/1.1\r\nHost: a\r\nX-A: "[..]),
            (
                addresses.http,
                each,
                b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: ",
            ),
            (addresses.metrics, each.min(SCRAPERS), b"GET /metrics HTTP/1.1\r\n"),
            // A CONNECT of 16 kB, a byte at a time.
            (addresses.mqtt, each, b"\x10\xff\x7f\x00\x04MQTT\x04\x00\x00\x00\x3f\xff"),
        ] {
            for _ in 0..clients {
                crowd.spawn(drip(door, beginning));
            }
        }
        let (_, slowest) = shop.deliveries(20).await?;
        ensure!(slowest < Duration::from_secs(5), "an event took {slowest:?}");
        let peak = shop.memory_kb()?.saturating_sub(before);
        let count = crowd.len() as u64;
        while let Some(closed) = crowd.join_next().await {
            closed??;
        }
        ensure!(peak < 20 * count + 32_000, "{peak} kB for {count} connections");
        report(
            "slowloris on REST, websocket, metrics and MQTT",
            &format!("{count} connections"),
            &format!(
                "all closed within {} s; at most {peak} kB more; slowest delivery meanwhile {} ms",
                started.elapsed().as_secs(),
                slowest.as_millis()
            ),
        );
        Ok(())
    })
    .await;
}

/// Sends a byte from time to time until the gateway closes.
async fn drip(door: SocketAddr, beginning: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(beginning).await?;
    let (mut reader, mut writer) = stream.split();
    let mut ticks = interval(DRIP);
    let dripping = async {
        loop {
            ticks.tick().await;
            if writer.write_all(b"a").await.is_err() {
                // The other half tells how it ended.
                std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = Vec::new();
    let closed = async {
        tokio::select! {
            // A reset says the same as an orderly end.
            _ = reader.read_to_end(&mut answer) => {}
            () = dripping => {}
        }
    };
    ensure!(
        timeout(CLOSED_WITHIN, closed).await.is_ok(),
        "{door} keeps a client that drips"
    );
    ensure!(!answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"\x20\x02\x00\x00"));
    Ok(())
}
