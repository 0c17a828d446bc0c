//! Random bytes at every port.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shop::attacked;
use crate::{report, scaled, seed};

/// Throws at a time.
const AT_ONCE: usize = 16;
/// Longest throw in bytes.
const MAX_BYTES: u64 = 4_096;
/// Memory that all of it may take in kB.
const KB: u64 = 48_000;

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_at_every_port_change_nothing() {
    attacked(async |shop| {
        let count = scaled(600, 30_000);
        let addresses = shop.world.gateway.addresses();
        let doors = [addresses.http, addresses.mqtt, addresses.metrics];
        // Beginnings that get a stranger past the first look.
        let beginnings: [&[u8]; 6] = [
            b"",
            b"GET /v1/feeds HTTP/1.1\r\n",
            b"POST /v1/devices HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
            b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"\x10\xff\x01\x00\x04MQTT\x04",
            b"\x10\xff\x01\x00\x04MQTT\x05",
        ];
        let before = shop.memory_kb()?;
        let mut random = Random(seed() | 1);
        let throws: Vec<_> = (0..count)
            .map(|number| {
                let mut bytes = beginnings[number % beginnings.len()].to_vec();
                for _ in 0..random.next() % MAX_BYTES {
                    bytes.push(random.next() as u8);
                }
                (doors[number / beginnings.len() % doors.len()], bytes)
            })
            .collect();
        let total: usize = throws.iter().map(|(_, bytes)| bytes.len()).sum();
        stream::iter(throws.iter().map(|(door, bytes)| throw(*door, bytes)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await
            .with_context(|| format!("seed {}", seed()))?;
        let grown = shop.memory_kb()?.saturating_sub(before);
        ensure!(grown < KB, "{grown} kB more");
        let (_, slowest) = shop.deliveries(10).await?;
        report(
            "random bytes at every port",
            &format!("{count} connections, {} kB", total / 1_000),
            &format!("nobody let in; {grown} kB more; slowest delivery after it {} ms", slowest.as_millis()),
        );
        Ok(())
    })
    .await;
}

/// Sends bytes, says that no more come, and looks at the answer. Each door closes then.
async fn throw(door: SocketAddr, bytes: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(door).await?;
    // A gateway that has had enough closes while we still send.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    ensure!(
        end.is_ok(),
        "{door} stays open after {:02x?}",
        &bytes[..bytes.len().min(200)]
    );
    ensure!(
        !answer.starts_with(b"\x20\x02\x00\x00"),
        "the broker let a stranger in"
    );
    ensure!(
        !answer.starts_with(b"HTTP/1.1 5"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// Xorshift: the same bytes for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }
}
