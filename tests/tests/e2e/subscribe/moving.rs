//! A feed that its owner moves to another device, and a gateway that says so of one that is not moved.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::{DeviceId, FeedAuthorization};
use ashya_tests::{
    Device, Mqtt, Subscriber, Tamper, Tampering, World, WorldOptions, eventually, free_port, now,
};
use serde_json::{Value, json};

use super::{PAY_LIMIT, buyer, feed_on_sale};
use crate::in_world;

const LIMIT: Duration = Duration::from_secs(30);
const STREAM: &str = "detections";

/// Uses up a number without sending its event, and sends the next one.
async fn skip_and_emit(device: &mut Device, mqtt: &mut Mqtt) -> Result<()> {
    device.event(STREAM, b"{}")?;
    device.emit(mqtt, STREAM, b"{}").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_before_the_first_event_of_a_new_device_is_told() {
    in_world(async |world| {
        let (mut old, owner, feed) = feed_on_sale(world).await?;
        let mut mqtt = old.connect().await?;
        let (_, mut options) = buyer(world, feed, &[]).await?;
        options.term = "10m".into();
        let mut subscriber = Subscriber::start(options)?;
        subscriber.hears("watching", 1, PAY_LIMIT).await?;
        old.emit(&mut mqtt, STREAM, b"{}").await?;
        subscriber.hears("event", 1, LIMIT).await?;

        let mut new = world.device(&owner, &[STREAM]).await?;
        let mut mqtt = new.connect().await?;
        new.emit(&mut mqtt, STREAM, b"{}").await?;
        let (key, domain, name) = (new.key(), world.domain(), "gate".parse()?);
        let moved = FeedAuthorization::sign(key, &domain, name, owner.address(), now() + 3600);
        world
            .ledger()
            .set_device(owner.wallet(), feed.id, &moved)
            .await?;
        // Each of its events comes after one that is missing.
        let first = eventually("an event of the new device", LIMIT, async || {
            skip_and_emit(&mut new, &mut mqtt).await?;
            let of_new = |event: &&ashya_protocol::ws::JsonEvent| event.device == new.id();
            Ok(subscriber
                .events()?
                .iter()
                .find(of_new)
                .map(|event| event.seq.get()))
        })
        .await?;
        let told = gaps(&subscriber);
        let expected = gap(new.id(), first - 1, "lost");
        ensure!(told.first() == Some(&expected), "{first}: {told:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cannot_move_a_feed_by_a_gap() {
    let port = free_port(0).unwrap();
    let options = WorldOptions {
        gateway_flags: vec!["--domain".into(), format!("127.0.0.1:{port}")],
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = invent(&world, port).await {
        panic!("{error:?}");
    }
}

async fn invent(world: &World, port: u16) -> Result<()> {
    let (mut device, _, feed) = feed_on_sale(world).await?;
    let mut mqtt = device.connect().await?;
    let gateway = Tampering::start_on(port, world.gateway.addresses().http).await?;
    let (_, mut options) = buyer(world, feed, &[]).await?;
    options.term = "10m".into();
    options.gateway = gateway.url()?;
    let mut subscriber = Subscriber::start(options)?;
    subscriber.hears("watching", 1, PAY_LIMIT).await?;
    device.emit(&mut mqtt, STREAM, b"{}").await?;
    subscriber.hears("event", 1, LIMIT).await?;
    let (truth, lie) = (device.id(), DeviceId::new([0x5a; 20]));
    let bytes = |device: DeviceId| device.to_string().into_bytes();
    gateway.set(Tamper::Forge(bytes(truth), bytes(lie)));
    skip_and_emit(&mut device, &mut mqtt).await?;
    subscriber.hears("event", 2, LIMIT).await?;
    // What it has found out by itself.
    let told = gaps(&subscriber);
    ensure!(told == [gap(truth, 1, "untold")], "{told:?}");
    ensure!(subscriber.said("moved").is_empty());
    subscriber.process().interrupt()?;
    ensure!(subscriber.ends(LIMIT).await?.success());
    let stopped = subscriber.said("stopped");
    let refused = stopped.first().context("its account")?["refused"].as_u64();
    ensure!(refused == Some(1), "{stopped:?}");
    Ok(())
}

/// The gaps that were told, as [`gap`] shows them.
fn gaps(subscriber: &Subscriber) -> Vec<Value> {
    let shown = |gap: Value| json!([gap["device"], gap["from"], gap["to"], gap["reason"]]);
    subscriber.said("gap").into_iter().map(shown).collect()
}

fn gap(device: DeviceId, seq: u64, reason: &str) -> Value {
    json!([device, seq, seq, reason])
}
