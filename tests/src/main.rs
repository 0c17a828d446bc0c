//! `ashya-demo`: the whole product on one machine, until Ctrl-C.

use std::time::Duration;

use anyhow::Result;
use ashya_tests::{Demo, DemoOptions};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Starts a local chain, the contract, the gateway and two devices with feeds on sale.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: DemoOptions,
    /// Stop by itself after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    limit: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Whatever ends first, everything that was started is dropped, and stopped by that.
    tokio::select! {
        result = run(args.options, args.limit) => result?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    println!("stopped");
    Ok(())
}

async fn run(options: DemoOptions, limit: Option<u64>) -> Result<()> {
    let mut demo = Demo::start(options, |step| println!("· {step}")).await?;
    println!("{}", demo.guide()?);
    let rest = Duration::from_secs(limit.unwrap_or(u64::MAX));
    tokio::time::timeout(rest, demo.watch_over())
        .await
        .unwrap_or(Ok(()))
}
