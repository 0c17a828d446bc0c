//! A real agent whose gateway is away.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::ws::{ClientMessage, ServerMessage};
use ashya_protocol::{FeedId, Position};
use ashya_tests::{Agent, AgentOptions, FeedPlan, Said, Watcher, World, eventually};

use crate::in_world;

const EVENT_LIMIT: Duration = Duration::from_secs(20);
const SPOOL_LIMIT: Duration = Duration::from_secs(60);
/// Of what is on the disk, this many may be the heartbeats of two starts, which the feed does not sell.
const HEARTBEATS: u64 = 6;
/// Events of each start that have to be on the disk before it is killed.
const SPOOLED: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_while_the_gateway_was_away_arrives_in_order_even_after_a_kill() {
    in_world(async |world| {
        let owner = world.account().await?;
        let config = world.folder("settings")?.join("agent.toml");
        std::fs::write(&config, "[tracking]\nenabled = false\n")?;
        let options = AgentOptions {
            config: Some(config),
            ..world.agent("agent", owner.address(), 1)?
        };
        let mut agent = Agent::start(options).await?;
        let authorization = agent.options().authorize(&"street".parse()?).await?;
        let plan = FeedPlan::detections("Street", 1_000);
        let feed = world.open_feed(&owner, authorization, plan).await?;
        let mut watcher = world.watcher(&owner).await?;
        watcher.watch_paid(feed.id).await?;
        let seen = watcher.event(EVENT_LIMIT).await?.event().position;

        world.gateway.process().kill();
        let first = spooled(&mut agent, SPOOLED).await?;
        agent.process().kill();
        // It begins without its gateway, and keeps what the first has left.
        let options = agent.options().clone();
        let mut agent = Agent::spawn(options)?;
        let both = spooled(&mut agent, first + SPOOLED).await?;
        agent.process().kill();
        let mut agent = Agent::spawn(agent.options().clone())?;

        world.gateway.reopen().await?;
        world.gateway.until_ready().await?;
        agent.ready().await?;
        let (boots, events) = boots_after(world, &owner, feed.id, seen).await?;
        ensure!(
            events + HEARTBEATS >= both,
            "{both} were on the disk, {events} arrived of {boots:?}"
        );
        Ok(())
    })
    .await;
}

/// Waits until the agent tells that so many events are on the disk, and gives back how many.
async fn spooled(agent: &mut Agent, least: u64) -> Result<u64> {
    eventually("events on the disk", SPOOL_LIMIT, async || {
        agent.process().check_running()?;
        let log = agent.process().log();
        let told = log.rsplit_once("spooled=").and_then(|(_, rest)| {
            let digits = rest.split(|other: char| !other.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        Ok(told.filter(|told| *told >= least))
    })
    .await
}

/// Watches from a position until the third start speaks: each start's events must follow each other without a gap.
async fn boots_after(
    world: &World,
    owner: &ashya_tests::Account,
    feed: FeedId,
    seen: Position,
) -> Result<(Vec<u64>, u64)> {
    let mut watcher: Watcher = world.watcher(owner).await?;
    watcher
        .say(&ClientMessage::Watch {
            feed,
            streams: None,
            since: [("detections".parse()?, seen)].into(),
        })
        .await?;
    let (mut last, mut boots, mut events) = (seen, vec![seen.boot.get()], 0);
    while boots.len() < 3 {
        let heard = watcher.next(EVENT_LIMIT).await?;
        let heard = heard.with_context(|| format!("nothing after {last:?}"))?;
        let event = match heard.said {
            Said::Event(event) => event,
            Said::Control(ServerMessage::Watching { .. } | ServerMessage::Notice { .. }) => {
                continue;
            }
            Said::Control(other) => bail!("{other:?}"),
        };

        let position = event.event().position;
        // What the killed gateway had passed on and not yet acknowledged may come once more.
        if position == seen && events == 0 {
            continue;
        }
        if position.boot == last.boot {
            ensure!(
                position.seq == last.seq.next()?,
                "{position:?} after {last:?}"
            );
        } else {
            ensure!(position.boot > last.boot, "{position:?} after {last:?}");
            ensure!(position.seq.get() == 0, "{position:?} after {last:?}");
            boots.push(position.boot.get());
        }
        (last, events) = (position, events + 1);
    }
    Ok((boots, events))
}
