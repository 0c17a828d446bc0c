//! The real agent, from its camera to a subscriber.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_contracts::Ledger;
use ashya_protocol::{Detections, Seq, VerifiedEvent, Wei};
use ashya_tests::{
    Account, Agent, AgentOptions, FeedPlan, Gateway, GatewayOptions, OpenFeed, World, binary,
    repository,
};
use serde::Deserialize;

use crate::in_world;

const EVENT_LIMIT: Duration = Duration::from_secs(15);

/// A running agent, its owner and its feed.
async fn agent_with_feed(world: &World) -> Result<(Agent, Account, OpenFeed)> {
    let owner = world.account().await?;
    let agent = Agent::start(world.agent("agent", owner.address(), 1)?).await?;
    let authorization = agent.options().authorize(&"street".parse()?).await?;
    let plan = FeedPlan {
        title: "Street".into(),
        price: Wei::new(1_000),
        streams: vec!["detections".into(), "frames".into()],
        outage: None,
    };
    let feed = world.open_feed(&owner, authorization, plan).await?;
    Ok((agent, owner, feed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_sees_objects_and_the_pictures_they_are_in() {
    in_world(async |world| {
        let (agent, _, feed) = agent_with_feed(world).await?;
        let device = agent.options().device().await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;

        let mut pictures = BTreeMap::new();
        let mut sightings = BTreeMap::new();
        let mut objects = 0;
        for _ in 0..60 {
            let event = watcher.event(EVENT_LIMIT).await?;
            let event = event.event();
            ensure!(event.device == device, "another device");
            match event.stream.as_str() {
                "frames" => {
                    ensure!(event.content_type.as_str() == "image/jpeg");
                    ensure!(event.payload.starts_with(&[0xff, 0xd8]), "no JPEG");
                    pictures.insert(event.position.seq, event.payload.clone());
                }
                "detections" => {
                    let seen: Detections = serde_json::from_slice(&event.payload)?;
                    check(&seen)?;
                    objects += seen.objects.len();
                    if let Some(seq) = seen.picture.seq {
                        sightings.insert(seq, seen);
                    }
                }
                other => bail!("unexpected stream {other}"),
            }
        }
        ensure!(objects > 20, "only {objects} objects in 60 events");
        sightings.retain(|seq, _| pictures.contains_key(seq));
        ensure!(
            sightings.len() > 10,
            "only {} detections with their picture",
            sightings.len()
        );
        let folder = world.folder("pictures")?;
        for seq in sightings.keys() {
            std::fs::write(folder.join(format!("{seq:06}.jpg")), &pictures[seq])?;
        }
        boxes_sit_on_the_objects(&folder, &sightings)
    })
    .await;
}

/// Looks at the received pictures again, from their files, and finds the same boxes in them.
fn boxes_sit_on_the_objects(folder: &Path, sightings: &BTreeMap<Seq, Detections>) -> Result<()> {
    let written = folder.join("again.jsonl");
    let output = Command::new(binary("ashya-agent")?)
        .args(["detect", "--confidence", "0.4", "--model"])
        .arg(repository().join("models/street_tiny_320.onnx"))
        .arg("--source")
        .arg(folder)
        .arg("--json")
        .arg(&written)
        .current_dir(repository())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&written)?;
    ensure!(text.lines().count() == sightings.len());
    let (mut matched, mut all) = (0, 0);
    for (line, seen) in text.lines().zip(sightings.values()) {
        let again: Looked = serde_json::from_str(line)?;
        for object in &seen.objects {
            let [x, y, w, h] = object.bounds.0;
            let (width, height) = (again.width, again.height);
            let sent = [x * width, y * height, (x + w) * width, (y + h) * height];
            let same =
                |other: &Found| other.label == object.label && overlap(sent, other.bounds) > 0.85;
            matched += usize::from(again.objects.iter().any(same));
            all += 1;
        }
    }
    println!("{matched} of {all} boxes found again in the received pictures");
    // A picture's compression moves a few boxes; boxes of another picture would hardly ever fit.
    ensure!(
        matched * 10 >= all * 9,
        "only {matched} of {all} boxes sit on what the picture shows"
    );
    Ok(())
}

/// A line of `ashya-agent detect --json`.
#[derive(Debug, Deserialize)]
struct Looked {
    width: f32,
    height: f32,
    objects: Vec<Found>,
}

/// An object of it, with its corners in pixels.
#[derive(Debug, Deserialize)]
struct Found {
    label: String,
    #[serde(rename = "box")]
    bounds: [f32; 4],
}

/// Intersection over union of two boxes.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0, 2) * side(1, 3);
    both / (area(a) + area(b) - both)
}

/// Labels of the default model, scores in order, boxes inside the picture.
fn check(seen: &Detections) -> Result<()> {
    ensure!(seen.model.name == "street_tiny_320", "{:?}", seen.model);
    ensure!(seen.picture.width > 0 && seen.picture.height > 0);
    for object in &seen.objects {
        let [x, y, w, h] = object.bounds.0;
        ensure!(x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0, "{object:?}");
        ensure!(x + w <= 1.001 && y + h <= 1.001, "{object:?}");
        ensure!((0.5..=1.0).contains(&object.score), "{object:?}");
        ensure!(!object.label.is_empty());
    }
    ensure!(
        seen.objects.is_sorted_by(|a, b| a.score >= b.score),
        "best score first"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_raises_its_boot_and_outlives_a_gateway() {
    in_world(async |world| {
        let (agent, owner, feed) = agent_with_feed(world).await?;
        let mut watcher = world.watcher(&owner).await?;
        watcher.watch_paid(feed.id).await?;
        let first = detections(&mut watcher).await?;

        let options = agent.options().clone();
        drop(agent);
        let agent = Agent::start(options).await?;
        let second = detections(&mut watcher).await?;
        let (old, new) = (first.event().position.boot, second.event().position.boot);
        ensure!(new > old, "boot {new} after {old}");

        world.gateway.crash_and_restart().await?;
        let mut watcher = world.watcher(&owner).await?;
        watcher.watch_paid(feed.id).await?;
        let third = detections(&mut watcher)
            .await
            .context("after the gateway's restart")?;
        ensure!(
            third.event().position.boot == new,
            "the agent had to restart"
        );
        // The event that was on its way to the disk may come twice; none that was acknowledged does.
        ensure!(third.event().position.seq >= second.event().position.seq);
        let fourth = detections(&mut watcher).await?;
        ensure!(
            fourth.event().position.seq == third.event().position.seq.next()?,
            "numbers have no gaps"
        );
        drop(agent);
        Ok(())
    })
    .await;
}

/// The next event of the stream `detections`.
async fn detections(watcher: &mut ashya_tests::Watcher) -> Result<VerifiedEvent> {
    loop {
        let event = watcher.event(Duration::from_secs(30)).await?;
        if event.event().stream.as_str() == "detections" {
            return Ok(event);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_to_its_first_ledger() {
    in_world(async |world| {
        let owner = world.account().await?;
        let options = world.agent("agent", owner.address(), 1)?;
        drop(Agent::start(options.clone()).await?);

        let second = Ledger::deploy(world.ledger().rpc().clone(), owner.wallet()).await?;
        let deployment = world.folder("second")?.join("deployment.json");
        std::fs::write(&deployment, serde_json::to_vec(&second)?)?;
        let gateway = Gateway::start(GatewayOptions {
            listen: ashya_tests::Addresses::local(0, 0, 0),
            data: world.folder("second-gateway")?,
            deployment,
            ..world.gateway.options().clone()
        })
        .await?;
        let mut moved = Agent::spawn(AgentOptions {
            name: "moved".into(),
            gateway: gateway.api().base().clone(),
            ..options
        })?;
        let status = moved.process().wait(Duration::from_secs(20)).await?;
        ensure!(!status.success(), "{status}");
        let log = moved.process().log();
        ensure!(
            log.to_lowercase().contains("ledger"),
            "an unclear error: {log}"
        );
        ensure!(
            gateway.api().devices().await?.devices.is_empty(),
            "it registered all the same"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_agent_stays_away_until_its_registration_changes() {
    in_world(async |world| {
        let owner = world.account().await?;
        let options = world.agent("agent", owner.address(), 1)?;
        drop(Agent::start(options.clone()).await?);
        let device = options.device().await?;
        let api = world.gateway.api();
        let session = api.sign_in(&owner, world.domain().chain_id).await?;
        let answer = api.remove_device(&session, device).await?;
        ensure!(answer.status == 204, "{}", answer.body);

        let mut unwelcome = Agent::spawn(AgentOptions {
            name: "unwelcome".into(),
            ..options.clone()
        })?;
        let told = "the owner has removed this device";
        unwelcome
            .process()
            .wait_for_log(told, EVENT_LIMIT)
            .await
            .context("the agent does not say why it stays away")?;
        ensure!(
            api.devices().await?.devices.is_empty(),
            "the agent came back against its owner's will"
        );
        unwelcome.process().interrupt()?;
        let status = unwelcome.process().wait(Duration::from_secs(5)).await?;
        ensure!(status.success(), "{status}");
        ensure!(unwelcome.process().log().matches(told).count() == 1);

        // As its log says.
        Agent::start(AgentOptions {
            name: "renamed".into(),
            title: "Another title".into(),
            ..options
        })
        .await?;
        Ok(())
    })
    .await;
}
