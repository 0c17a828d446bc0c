//! A device that publishes as fast as the network carries it, and sells that.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ashya_tests::{Device, FeedPlan, Watcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::shop::{PAID_SECONDS, Shop, attacked};
use crate::{report, scaled};

/// Fewest events that make a flood.
const EVENTS: usize = 500;
/// Longest wait of its own subscriber for the next event.
const SILENCE: Duration = Duration::from_secs(5);
/// Memory that a flood may take in kB: the store's cache of 64 MiB fills with what it wrote, the stream's last 8 MiB stay at
/// hand, and the allocator keeps up to as much again around them.
const KB: u64 = 128_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_floods_delays_no_other() {
    attacked(async |shop| {
        let (middle, _) = shop.deliveries(20).await?;
        let before = shop.memory_kb()?;
        let time = Duration::from_secs(scaled(5, 60) as u64);
        let flooding = flood(shop, time).await?;
        let flooding = tokio::spawn(flooding);
        let (mut times, mut peak) = (Vec::new(), before);
        while !flooding.is_finished() {
            times.push(shop.deliver().await?);
            peak = peak.max(shop.memory_kb()?);
        }
        let (sent, sold) = flooding.await??;
        let sold = sold.await?;
        times.sort_unstable();
        let (during, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        let grown = peak - before;
        ensure!(grown < KB, "{grown} kB more");
        ensure!(sent > EVENTS, "only {sent} events came through");
        ensure!(sold > 0, "its own subscriber got nothing");
        // Generous: the flood is sent from the same two cores.
        ensure!(during < Duration::from_millis(500), "the usual event took {during:?}");
        ensure!(slowest < Duration::from_secs(5), "an event took {slowest:?}");
        report(
            "a device that floods over MQTT",
            &format!("{sent} fresh events in {} s", time.as_secs()),
            &format!(
                "its own subscriber got {sold}; at most {grown} kB more; {} deliveries of another device meanwhile: median {:.1} ms ({:.1} ms before), \
                 slowest {} ms",
                times.len(),
                during.as_secs_f64() * 1e3,
                middle.as_secs_f64() * 1e3,
                slowest.as_millis()
            ),
        );
        Ok(())
    })
    .await;
}

/// Floods for a time, over as many sessions as it takes: a gateway may end one that sends too much. Returns how many
/// events the gateway's side of the network has taken, and the count of those that still come to somebody who has paid.
async fn flood(
    shop: &Shop,
    time: Duration,
) -> Result<impl Future<Output = Result<(usize, JoinHandle<usize>)>> + Send + use<>> {
    let (world, plan) = (&shop.world, FeedPlan::detections("Flood", 1_000));
    let mut device = world.device(&shop.owner, &["detections"]).await?;
    let feed = world
        .open_device_feed(&device, &shop.owner, "flood", plan)
        .await?;
    let buyer = world.account().await?;
    world.subscribe(&buyer, feed, PAID_SECONDS).await?;
    let mut watcher = world.watcher(&buyer).await?;
    watcher.watch_once_paid(feed.id).await?;
    let broker = shop.world.gateway.addresses().mqtt;
    let credentials = shop
        .world
        .api()
        .credentials(device.key(), &shop.world.domain())
        .await?;
    let connect = connect_packet(&device, &credentials.username, &credentials.password);
    let topic = device.topic("detections")?;
    Ok(async move {
        let until = Instant::now() + time;
        let sold = tokio::spawn(count(watcher));
        let mut sent = 0;
        while Instant::now() < until {
            let mut stream = TcpStream::connect(broker).await?;
            stream.write_all(&connect).await?;
            let mut answer = [0; 4];
            if stream.read_exact(&mut answer).await.is_err() || answer[3] != 0 {
                continue;
            }
            let (mut reader, mut writer) = stream.split();
            let answers = async {
                // Acknowledgements are taken, so that only the gateway itself can slow the flood down.
                let mut sink = vec![0; 65_536];
                while matches!(reader.read(&mut sink).await, Ok(1..)) {}
            };
            let events = async {
                for id in (1..=u16::MAX).cycle() {
                    let envelope = device.envelope("detections", &[b' '; 200])?;
                    let publish = packet(0x32, &[&text(&topic), &id.to_be_bytes(), &envelope]);
                    if Instant::now() >= until || writer.write_all(&publish).await.is_err() {
                        break;
                    }
                    sent += 1;
                }
                anyhow::Ok(())
            };
            let both = async {
                tokio::select! {
                    () = answers => Ok(()),
                    done = events => done,
                }
            };
            let both = tokio::time::timeout_at(until.into(), both).await;
            both.unwrap_or(Ok(()))?;
        }
        Ok((sent, sold))
    })
}

/// Counts events until none comes any more.
async fn count(mut watcher: Watcher) -> usize {
    let mut events = 0;
    while watcher.event(SILENCE).await.is_ok() {
        events += 1;
    }
    events
}

/// A CONNECT of MQTT 3.1.1 with a name and a password.
fn connect_packet(device: &Device, username: &str, password: &str) -> Vec<u8> {
    let id = device.id().to_string();
    let head = [0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 60];
    packet(0x10, &[&head, &text(&id), &text(username), &text(password)])
}

fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let (mut packet, mut length) = (vec![first], body.len());
    while length >= 128 {
        packet.push((length % 128) as u8 | 128);
        length /= 128;
    }
    packet.push(length as u8);
    [packet, body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
