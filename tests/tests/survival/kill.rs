//! An agent that is killed in the middle of its work has lost nothing that it had acknowledged.
//!
//! ```text
//!  lines ──► ashya-agent publish ──MQTT──► gateway        kill -9 at a random moment, again and again
//!               │    └─ receipts                          the gateway is away in a third of the rounds
//!               └─ spool                                  what has a receipt must be in the history, once
//! ```
//!
//! The environment says how much is tried:
//!
//! - `ASHYA_KILLS`: 6 unless set.
//! - `ASHYA_SEED`: a decimal number, drawn unless set.
//! - `ASHYA_KILL_REPORT`: a file for the figures, in Markdown.

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_tests::{AgentOptions, FeedPlan, OpenFeed, Sensor, World, now_us};

use crate::number;
use crate::record::Record;

/// Kills in continuous integration.
const SHORT: u64 = 6;
/// A kill comes this many milliseconds after the first receipt, at most.
const LONGEST_MS: u64 = 900;
/// Rounds after which everything is looked for.
const LOOK_EVERY: u64 = 10;
/// Time for a receipt, on a busy machine.
const RECEIPT_LIMIT: Duration = Duration::from_secs(30);
/// Kept by the gateway's history, so that all that was acknowledged can be asked for.
const STREAM: &str = "detections";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_has_lost_nothing_that_it_had_acknowledged() -> Result<()> {
    let kills = number("ASHYA_KILLS")?.unwrap_or(SHORT);
    let seed = number("ASHYA_SEED")?.unwrap_or_else(now_us);
    eprintln!("seed {seed}");
    let mut world = World::start().await?;
    let owner = world.account().await?;
    let options = world.agent("sensor", owner.address(), 0)?;
    let mut record = Record::default();
    let feed = open(&world, &owner, &options, &mut record).await?;
    let (mut dice, started) = (Dice(seed), Instant::now());
    for kill in 1..=kills {
        let is_away = dice.roll(3) == 0;
        let moment = Duration::from_millis(dice.roll(LONGEST_MS));
        let round = async {
            if is_away {
                world.gateway.process().kill();
                record.away += 1;
            }
            work_until_killed(&options, moment, &mut record).await?;
            if is_away {
                world.gateway.reopen().await?;
                world.gateway.until_ready().await?;
            }
            if kill % LOOK_EVERY == 0 || kill == kills {
                send_the_rest(&options, &mut record).await?;
                record.check(&world, &owner, feed.id).await?;
                eprintln!(
                    "{kill} kills, {:.0} s: {record}",
                    started.elapsed().as_secs_f64()
                );
            }
            anyhow::Ok(())
        };
        round
            .await
            .with_context(|| format!("kill {kill}, seed {seed}"))?;
    }
    ensure!(record.receipts() > kills, "no load: {record}");
    nothing_set_aside(&options)?;
    let report = format!(
        "| | |\n|---|---|\n| kills | {kills} |\n| seed | {seed} |\n{}| duration | {} s |\n",
        record.rows(),
        started.elapsed().as_secs()
    );
    eprintln!("{report}");
    if let Some(path) = env::var_os("ASHYA_KILL_REPORT") {
        fs::write(path, report)?;
    }
    Ok(())
}

/// Registers the device by a first event, and opens its feed.
async fn open(
    world: &World,
    owner: &ashya_tests::Account,
    options: &AgentOptions,
    record: &mut Record,
) -> Result<OpenFeed> {
    send_the_rest(options, record).await?;
    let authorization = options.authorize(&"sensor".parse()?).await?;
    let plan = FeedPlan::detections("Sensor", 1);
    let feed = world.open_feed(owner, authorization, plan).await?;
    record.begin();
    Ok(feed)
}

/// Publishes line after line until the agent is killed, a while after its first receipt.
async fn work_until_killed(
    options: &AgentOptions,
    moment: Duration,
    record: &mut Record,
) -> Result<()> {
    let mut sensor = Sensor::start(options, STREAM, &[])?;
    let mut round = record.round();
    sensor.say(&round.next_line()).await?;
    let first = sensor.receipt(RECEIPT_LIMIT).await?.context("no receipt")?;
    round.note(&first)?;
    let until = Instant::now() + moment;
    while Instant::now() < until {
        sensor.say(&round.next_line()).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for receipt in sensor.kill().await? {
        round.note(&receipt)?;
    }
    Ok(())
}

/// Runs the agent until the gateway has everything.
async fn send_the_rest(options: &AgentOptions, record: &mut Record) -> Result<()> {
    let mut sensor = Sensor::start(options, STREAM, &[])?;
    let mut round = record.round();
    sensor.say(&round.next_line()).await?;
    let (receipts, status, said) = sensor.finish(RECEIPT_LIMIT).await?;
    ensure!(status.success(), "{status}: {said}");
    receipts
        .into_iter()
        .try_for_each(|receipt| round.note(&receipt))
}

/// No spool was taken for damaged on the way.
fn nothing_set_aside(options: &AgentOptions) -> Result<()> {
    for entry in fs::read_dir(&options.data)? {
        let name = entry?.file_name();
        ensure!(!name.to_string_lossy().contains("damaged"), "{name:?}");
    }
    Ok(())
}

/// Numbers that only depend on a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
