//! `make bench`: what the README claims, measured beside its peers in the same run.
//!
//! Machines are noisy, so Ashya and its peers take turns and the figures to quote are medians of rounds.
//!
//! ```text
//! ashya-bench [verify] [idle] [fan-out] [latency] [agent]      all when none is named
//! ```

mod agent;
mod dialect;
mod fan_out;
mod idle;
mod latency;
mod load;
mod peers;
mod publishers;
mod seller;
mod table;
mod verify;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures what the README claims.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// What to measure; all when nothing is named.
    parts: Vec<Part>,
    /// Rounds in which all take a turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leave the peers out.
    #[arg(long)]
    alone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Checking a signed event, beside viem.
    Verify,
    /// Memory and time to connect of sockets that wait.
    Idle,
    /// CPU of deliveries to many sockets, beside four peers.
    FanOut,
    /// Time from a device to its subscribers, and from a payment to the first event.
    Latency,
    /// Time and memory of detection, beside Python.
    Agent,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.parts.is_empty() {
        args.parts = Part::value_variants().to_vec();
    }
    for part in args.parts {
        match part {
            Part::Verify => verify::run(args.rounds)?,
            Part::Idle => idle::run(args.rounds, peers(args.alone)?).await?,
            Part::FanOut => fan_out::run(args.rounds, peers(args.alone)?).await?,
            Part::Latency => latency::run().await?,
            Part::Agent => agent::run(args.rounds, args.alone)?,
        }
        println!();
    }
    Ok(())
}

fn peers(alone: bool) -> Result<Vec<peers::Kind>> {
    if alone {
        return Ok(Vec::new());
    }
    peers::available()
}
