//! An agent that measures ten times a second while its gateway is away loses nothing.
//!
//! The environment says how much is tried:
//!
//! - `ASHYA_AWAY_SECONDS`: how long the gateway is away, 6 unless set.
//! - `ASHYA_AWAY_REPORT`: a file for the figures, in Markdown.

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_protocol::ws::ClientMessage;
use ashya_tests::{FeedPlan, Said, Sensor, World, resident_kb};
use tokio::time::{MissedTickBehavior, interval};

use crate::number;

/// Seconds in continuous integration.
const SHORT: u64 = 6;
/// Time between two readings.
const PACE: Duration = Duration::from_millis(100);
/// Readings that are made after the gateway is back, while what has waited is sent.
const AFTER: u64 = 50;
/// Time for the next event, on a busy machine.
const EVENT_LIMIT: Duration = Duration::from_secs(30);
/// What the agent may need more at the end than at the beginning of the absence, in kB: sled fills its cache.
const GROWTH_KB: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn ten_readings_a_second_all_arrive_in_order_after_the_gateway_was_away() -> Result<()> {
    let seconds = number("ASHYA_AWAY_SECONDS")?.unwrap_or(SHORT);
    let mut world = World::start().await?;
    let owner = world.account().await?;
    let options = world.agent("sensor", owner.address(), 0)?;
    let mut sensor = Sensor::start(&options, "detections", &[])?;
    sensor.say("0").await?;
    let first = sensor.receipt(EVENT_LIMIT).await?.context("no receipt")?;
    let authorization = options.authorize(&"sensor".parse()?).await?;
    let plan = FeedPlan::detections("Sensor", 1);
    let feed = world.open_feed(&owner, authorization, plan).await?;
    world
        .watcher(&owner)
        .await?
        .watch_paid(feed.id)
        .await
        .context("the feed")?;

    world.gateway.process().kill();
    let away = seconds * 10;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut early = 0;
    for reading in 1..=away {
        ticks.tick().await;
        sensor.say(&reading.to_string()).await?;
        if reading == away / 4 {
            early = resident_kb(sensor.id()?)?;
        }
    }
    let late = resident_kb(sensor.id()?)?;
    world.gateway.reopen().await?;
    world.gateway.until_ready().await?;
    let back = Instant::now();
    for reading in away + 1..=away + AFTER {
        ticks.tick().await;
        sensor.say(&reading.to_string()).await?;
    }

    let mut watcher = world.watcher(&owner).await?;
    watcher
        .say(&ClientMessage::Watch {
            feed: feed.id,
            streams: None,
            since: [("detections".parse()?, first.position())].into(),
        })
        .await?;
    for reading in 1..=away + AFTER {
        let event = loop {
            let heard = watcher.next(EVENT_LIMIT).await?;
            match heard
                .with_context(|| format!("reading {reading} does not come"))?
                .said
            {
                Said::Event(event) => break event,
                Said::Control(_) => {}
            }
        };
        let event = event.event();
        ensure!(event.position.boot == first.boot, "{event:?}");
        ensure!(event.position.seq.get() == reading, "{event:?}");
        ensure!(
            *event.payload == *reading.to_string().as_bytes(),
            "{event:?}"
        );
    }
    let caught_up = back.elapsed();
    ensure!(late <= early + GROWTH_KB, "{early} kB, then {late} kB");
    let (_, status, said) = sensor.finish(EVENT_LIMIT).await?;
    ensure!(status.success(), "{status}: {said}");
    let report = format!(
        "| | |\n|---|---|\n| gateway away | {seconds} s |\n| readings while it was away, all arrived in order | {away} |\n\
         | readings after, behind them in order | {AFTER} |\n| all had arrived after | {:.1} s, of which {:.1} s were for the readings after |\n\
         | memory of the agent at a quarter of the time, and at the end | {:.1} MB, {:.1} MB |\n",
        caught_up.as_secs_f64(),
        (PACE * AFTER as u32).as_secs_f64(),
        early as f64 / 1024.0,
        late as f64 / 1024.0,
    );
    eprintln!("{report}");
    if let Some(path) = env::var_os("ASHYA_AWAY_REPORT") {
        fs::write(path, report)?;
    }
    Ok(())
}
