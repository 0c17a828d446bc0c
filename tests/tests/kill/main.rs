//! A gateway that is killed in the middle of its work has lost nothing that it had acknowledged.
//!
//! ```text
//!  devices ──MQTT──► gateway ◄──REST── registrations        kill -9 at a random moment, again and again
//!                       ▲
//!  prices, each with its block                              what it has said before must be there after it
//! ```
//!
//! The environment says how much is tried:
//!
//! - `ASHYA_KILLS`: 6 unless set.
//! - `ASHYA_SEED`: a decimal number, drawn unless set.
//! - `ASHYA_KILL_REPORT`: a file for the figures, in Markdown.
//! - `ASHYA_KILL_TRACE`: trace the system calls with `strace` too, which has to be installed.

mod check;
mod load;
mod trace;

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ashya_tests::{Addresses, AnvilOptions, BlockTime, World, WorldOptions, now_us};

use crate::load::{Load, Told};

/// Kills in continuous integration.
const SHORT: u64 = 6;
/// A kill comes this many milliseconds after the load has begun, at most.
const LONGEST_MS: u64 = 900;
/// No limits of how often one may ask: all of it comes from one address. Room for all devices: a full registry lets go
/// of those that have shown nothing for long.
const CONFIG: &str = "[auth]
nonces_per_minute = 0
sessions_per_minute = 0
registrations_per_minute = 0
credentials_per_minute = 0
per_address_per_minute = 0

[devices]
max = 1_000_000
";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_has_lost_nothing_that_it_had_acknowledged() -> Result<()> {
    let kills = number("ASHYA_KILLS")?.unwrap_or(SHORT);
    let seed = number("ASHYA_SEED")?.unwrap_or_else(now_us);
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir()?;
    let mut world = start(&folder).await?;
    let load = Load::prepare(&world).await?;
    let mut told = Told::default();
    let (mut dice, started) = (Dice(seed), Instant::now());
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        let moment = Duration::from_millis(dice.roll(LONGEST_MS));
        load.run_until_killed(&mut world, moment, &mut told).await?;
        // The chain stands still: what is there now comes from the disk alone.
        world.anvil.process().pause()?;
        let reopened = Instant::now();
        let opened = world.gateway.reopen().await;
        slowest = slowest.max(reopened.elapsed());
        let checked = match opened {
            Ok(()) => check::blocks(&world, &load, &told).await,
            Err(error) => Err(error),
        };
        world.anvil.process().resume()?;
        checked.with_context(|| format!("kill {kill}, seed {seed}"))?;
        world.gateway.until_ready().await?;
        let held = async {
            check::registrations(&world, &told, kill == kills).await?;
            check::events(&world, &load, &mut told, kill == kills).await
        };
        held.await
            .with_context(|| format!("kill {kill}, seed {seed}"))?;
        if kill % 10 == 0 || kill == kills {
            eprintln!(
                "{kill} kills, {:.0} s: {told}",
                started.elapsed().as_secs_f64()
            );
        }
    }
    ensure!(
        told.events() > kills && told.registrations() > 0,
        "no load: {told}"
    );
    // Some lives are too short to be told of a block.
    ensure!(
        kills <= SHORT || told.price.get() > (kills / 10).into(),
        "hardly a block was told: {told}"
    );
    check::nothing_set_aside(&world)?;
    let mut report = format!(
        "| | |\n|---|---|\n| kills | {kills} |\n| seed | {seed} |\n{}| slowest reopening | {} ms |\n",
        told.rows(),
        slowest.as_millis()
    );
    if env::var_os("ASHYA_KILL_TRACE").is_some() {
        report += &trace::report(&mut world, &load).await?;
    }
    eprintln!("{report}");
    if let Some(path) = env::var_os("ASHYA_KILL_REPORT") {
        fs::write(path, report)?;
    }
    Ok(())
}

async fn start(folder: &tempfile::TempDir) -> Result<World> {
    let config = folder.path().join("gateway.toml");
    fs::write(&config, CONFIG)?;
    let options = WorldOptions {
        anvil: AnvilOptions {
            block_time: BlockTime::EachTransaction,
            ..AnvilOptions::default()
        },
        listen: Addresses::local(0, 0, 0),
        gateway_flags: vec!["--config".into(), config.display().to_string()],
    };
    World::start_with(options, |_| {}).await
}

/// A number from the environment.
fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(variable) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text.parse().with_context(|| format!("{variable}={text}"))?;
    Ok(Some(number))
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
