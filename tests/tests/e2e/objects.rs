//! What the agent tells of each object that it follows, as somebody who bought it hears it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::{Detections, ObjectChange, ObjectEvent, Seq, Wei};
use ashya_tests::{Agent, AgentOptions, FeedPlan, binary, repository};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::in_world;

/// How long a few objects may take to come, cross the picture, be missed and end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const EVENT_LIMIT: Duration = Duration::from_secs(15);
/// Objects that are followed from their beginning to their end.
const LIVES: usize = 3;
/// The lower half of the picture, where people walk by in front.
const CONFIG: &str = "[zones.front]
polygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]
loitering_seconds = 2.0
";

/// All that was heard.
#[derive(Default)]
struct Heard {
    objects: BTreeMap<u64, Vec<ObjectEvent>>,
    snapshots: BTreeMap<Seq, Vec<u8>>,
    /// Labels under which each number was detected.
    tracks: BTreeMap<u64, Vec<String>>,
}

impl Heard {
    /// Objects whose whole life was heard, with the picture of each.
    fn lives(&self) -> Vec<(&[ObjectEvent], &[u8])> {
        let whole = self.objects.values().filter_map(|events| {
            let (first, last) = (events.first()?, events.last()?);
            let whole = first.change == ObjectChange::New && last.change == ObjectChange::End;
            let snapshot = self.snapshots.get(&last.snapshot?)?;
            (whole && events.len() > 2).then_some((&events[..], &snapshot[..]))
        });
        whole.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_hears_of_each_object_from_its_beginning_to_its_end() {
    in_world(async |world| {
        let owner = world.account().await?;
        let config = world.folder("objects")?.join("agent.toml");
        std::fs::write(&config, CONFIG)?;
        let agent = Agent::start(AgentOptions {
            config: Some(config),
            ..world.agent("agent", owner.address(), 1)?
        })
        .await?;
        let authorization = agent.options().authorize(&"objects".parse()?).await?;
        let plan = FeedPlan {
            title: "Objects".into(),
            price: Wei::new(1_000),
            streams: vec!["detections".into(), "objects".into(), "snapshots".into()],
            outage: None,
        };
        let feed = world.open_feed(&owner, authorization, plan).await?;
        let buyer = world.account().await?;
        world.subscribe(&buyer, feed, 3600).await?;
        let mut watcher = world.watcher(&buyer).await?;
        watcher.watch_once_paid(feed.id).await?;

        let mut heard = Heard::default();
        let listen = async {
            while heard.lives().len() < LIVES {
                let event = watcher.event(EVENT_LIMIT).await?;
                let event = event.event();
                let content = event.content_type.as_str();
                match event.stream.as_str() {
                    "detections" => {
                        let seen: Detections = serde_json::from_slice(&event.payload)?;
                        for object in seen.objects {
                            if let Some(track) = object.track {
                                heard.tracks.entry(track).or_default().push(object.label);
                            }
                        }
                    }
                    "objects" => {
                        ensure!(content == "application/json", "{content}");
                        let object: ObjectEvent = serde_json::from_slice(&event.payload)?;
                        heard.objects.entry(object.id).or_default().push(object);
                    }
                    _ => {
                        ensure!(content == "image/jpeg", "{content}");
                        heard
                            .snapshots
                            .insert(event.position.seq, event.payload.to_vec());
                    }
                }
            }
            Ok(())
        };
        timeout_at(Instant::now() + LIMIT, listen)
            .await
            .context("too few objects came and went")??;
        let lives = heard.lives();
        for (events, _) in &lives {
            check(events, &heard.tracks)?;
        }
        ensure!(
            heard
                .objects
                .values()
                .flatten()
                .any(|event| !event.counts.is_empty()),
            "nobody was counted in the zone"
        );
        let folder = world.folder("snapshots")?;
        the_pictures_show_them(&folder, &lives)
    })
    .await;
}

/// One beginning, then changes, then one end, all of one object.
fn check(events: &[ObjectEvent], tracks: &BTreeMap<u64, Vec<String>>) -> Result<()> {
    let (first, last) = (&events[0], &events[events.len() - 1]);
    for (index, event) in events.iter().enumerate() {
        let expected = match index {
            0 => ObjectChange::New,
            _ if index + 1 == events.len() => ObjectChange::End,
            _ => ObjectChange::Update,
        };
        ensure!(event.change == expected, "{index}: {events:?}");
        ensure!(event.label == first.label && event.first_seen_us == first.first_seen_us);
        ensure!(event.first_seen_us < event.last_seen_us, "{event:?}");
        ensure!(event.score <= event.top_score, "{event:?}");
        ensure!(
            event.snapshot.is_none() || index + 1 == events.len(),
            "{event:?}"
        );
        let zones = &event.zones;
        ensure!(
            zones
                .current
                .iter()
                .all(|zone| zones.entered.contains(zone)),
            "{event:?}"
        );
    }
    ensure!(
        events.is_sorted_by_key(|event| event.last_seen_us),
        "{events:?}"
    );
    ensure!(
        last.zones.current.is_empty(),
        "what is gone is nowhere: {last:?}"
    );
    let labels = tracks
        .get(&first.id)
        .context("an object that was never detected")?;
    ensure!(
        labels.iter().all(|label| *label == first.label),
        "{labels:?}"
    );
    Ok(())
}

/// Looks at the received pictures again, from their files, and finds what they are said to show.
fn the_pictures_show_them(folder: &Path, lives: &[(&[ObjectEvent], &[u8])]) -> Result<()> {
    for (index, (_, jpeg)) in lives.iter().enumerate() {
        std::fs::write(folder.join(format!("{index:03}.jpg")), jpeg)?;
    }
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
    ensure!(text.lines().count() == lives.len());
    for (line, (events, _)) in text.lines().zip(lives) {
        let again: Looked = serde_json::from_str(line)?;
        let label = &events[0].label;
        ensure!(
            again.objects.iter().any(|object| object.label == *label),
            "no {label} in its picture: {line}"
        );
    }
    Ok(())
}

/// A line of `ashya-agent detect --json`.
#[derive(Debug, Deserialize)]
struct Looked {
    objects: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    label: String,
}
