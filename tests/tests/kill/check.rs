//! What a gateway must still have after a kill.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::rest::Device;
use ashya_protocol::ws::{ClientMessage, ServerMessage};
use ashya_protocol::{Position, Seq};
use ashya_tests::{Said, World};

use crate::load::{Load, Told};

/// Time for the next message of a replay, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Registrations that are looked at after each kill: the last ones. After the last kill all of them are.
const LATEST: usize = 20;

/// Every block that was told, from the disk alone.
pub(crate) async fn blocks(world: &World, load: &Load, told: &Told) -> Result<()> {
    if told.price.get() == 0 {
        return Ok(());
    }
    let feed = world
        .api()
        .feed(load.feeds[0].id)
        .await
        .context("the feed is gone")?;
    ensure!(
        feed.price >= told.price,
        "the block of price {} was told, now the price is {}",
        told.price,
        feed.price
    );
    Ok(())
}

/// Every acknowledged registration.
pub(crate) async fn registrations(world: &World, told: &Told, all: bool) -> Result<()> {
    let count = if all { usize::MAX } else { LATEST };
    for (device, revision) in told.registrations.iter().rev().take(count) {
        let answer = world.api().get(&format!("/v1/devices/{device}")).await?;
        ensure!(
            answer.status.is_success(),
            "{device} is gone: {}",
            answer.status
        );
        let kept = answer.json::<Device>()?.registration.revision;
        ensure!(
            kept >= *revision,
            "{device}: revision {revision} was acknowledged, kept is {kept}"
        );
    }
    Ok(())
}

/// Every acknowledged event, once, out of history: those since the last look, after the last kill all of them.
pub(crate) async fn events(world: &World, load: &Load, told: &mut Told, all: bool) -> Result<()> {
    let mut watcher = world.watcher(&load.buyer).await?;
    for (number, feed) in load.feeds.iter().enumerate() {
        let acknowledged = told.events.entry(number).or_default();
        let seen = told.seen.entry(number).or_default();
        let new = if all {
            &acknowledged[..]
        } else {
            &acknowledged[*seen..]
        };
        *seen = acknowledged.len();
        let (Some(first), Some(last)) = (new.first(), new.last()) else {
            continue;
        };
        let mut missing: BTreeSet<Position> = new.iter().copied().collect();
        watcher
            .say(&ClientMessage::Watch {
                feed: feed.id,
                streams: None,
                since: [("detections".parse()?, before(*first)?)].into(),
            })
            .await?;
        let (mut newest, mut device) = (None, None);
        while newest < Some(*last) {
            let heard = watcher.next(ANSWER_LIMIT).await?;
            let heard = heard.with_context(|| format!("{} events did not come", missing.len()))?;
            match heard.said {
                // The feed before may still have something on the way.
                Said::Event(event) if Some(event.event().device) != device => {}
                Said::Event(event) => {
                    let position = event.event().position;
                    ensure!(
                        newest < Some(position),
                        "{position:?} came after {newest:?}"
                    );
                    newest = Some(position);
                    missing.remove(&position);
                }
                Said::Control(ServerMessage::Watching {
                    feed: of,
                    device: sold,
                    ..
                }) => {
                    if of == feed.id {
                        device = Some(sold);
                    }
                }
                Said::Control(ServerMessage::Notice { .. }) => {}
                Said::Control(other) => bail!("{other:?}"),
            }
        }
        ensure!(
            missing.is_empty(),
            "acknowledged, but not in history: {missing:?}"
        );
        watcher
            .say(&ClientMessage::Unwatch { feed: feed.id })
            .await?;
    }
    Ok(())
}

/// No store was taken for damaged on the way.
pub(crate) fn nothing_set_aside(world: &World) -> Result<()> {
    for entry in std::fs::read_dir(&world.gateway.options().data)? {
        let name = entry?.file_name();
        ensure!(!name.to_string_lossy().contains("damaged"), "{name:?}");
    }
    Ok(())
}

/// A position of which an event is the next.
fn before(position: Position) -> Result<Position> {
    let (boot, seq) = (position.boot.get(), position.seq.get());
    Ok(match seq.checked_sub(1) {
        Some(seq) => Position {
            boot: position.boot,
            seq: seq.try_into()?,
        },
        None => Position {
            boot: (boot - 1).try_into()?,
            seq: Seq::FIRST,
        },
    })
}
