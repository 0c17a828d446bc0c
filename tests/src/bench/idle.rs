//! What a socket that waits costs in memory, and how long a crowd takes to connect.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use ashya_tests::{raise_file_limit, resident_kb};

use crate::dialect::Dialect;
use crate::load::Crowd;
use crate::peers::{Kind, Peer};
use crate::seller::Seller;
use crate::table::median;

/// Sockets of a crowd.
const SOCKETS: usize = 5_000;
/// Time for a server's memory to settle.
const SETTLE: Duration = Duration::from_millis(700);

pub(super) async fn run(rounds: usize, kinds: Vec<Kind>) -> Result<()> {
    raise_file_limit()?;
    println!(
        "{SOCKETS} sockets that wait, then twice as many; medians of {rounds} rounds. Ashya's are signed in and watch a paid feed."
    );
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("gateway.toml");
    // One wallet stands for a crowd here.
    std::fs::write(
        &config,
        format!("[auth]\nsockets_per_wallet = {}\n", 2 * SOCKETS),
    )?;
    let flags = vec!["--config".to_owned(), config.display().to_string()];
    let mut own = Row::default();
    let mut others = vec![Row::default(); kinds.len()];
    for _ in 0..rounds {
        // New processes: memory that an earlier crowd left behind would hide what this one takes.
        let mut seller = Seller::start_with(flags.clone()).await?;
        let sold = seller.sell("detections").await?;
        let (address, pid) = (seller.http(), seller.world.gateway.process().id());
        own.0.push(connect(address, &sold.dialect(), pid)?);
        drop(seller);
        for (kind, row) in kinds.iter().zip(&mut others) {
            let peer = Peer::start(*kind, folder.path()).await?;
            row.0
                .push(connect(peer.address, &kind.dialect(), peer.process.id())?);
        }
    }
    let [first, both] = [SOCKETS, 2 * SOCKETS].map(|sockets| format!("kB of {sockets}"));
    println!(
        "{:<20} {first:>13} {both:>13} {:>18}",
        "server", "seconds to connect"
    );
    own.print("Ashya");
    for (kind, row) in kinds.iter().zip(&others) {
        row.print(kind.name());
    }
    Ok(())
}

/// What one server shows: kB a socket of the first crowd and of both, and how long the first took to connect.
#[derive(Debug, Clone)]
struct Shown {
    first: f64,
    both: f64,
    seconds: f64,
}

fn connect(server: SocketAddr, dialect: &Dialect, pid: u32) -> Result<Shown> {
    let before = resident_kb(pid)?;
    let grown = || -> Result<f64> {
        std::thread::sleep(SETTLE);
        Ok(resident_kb(pid)?.saturating_sub(before) as f64)
    };
    let crowd = Crowd::connect(server, dialect, SOCKETS)?;
    let first = grown()? / SOCKETS as f64;
    let _others = Crowd::connect(server, dialect, SOCKETS)?;
    let both = grown()? / (2 * SOCKETS) as f64;
    Ok(Shown {
        first,
        both,
        seconds: crowd.connecting.as_secs_f64(),
    })
}

/// What one server has shown in all rounds.
#[derive(Debug, Clone, Default)]
struct Row(Vec<Shown>);

impl Row {
    fn print(&self, name: &str) {
        let of = |part: fn(&Shown) -> f64| median(&self.0.iter().map(part).collect::<Vec<_>>());
        let (first, both) = (of(|shown| shown.first), of(|shown| shown.both));
        let seconds = of(|shown| shown.seconds);
        println!("{name:<20} {first:>13.1} {both:>13.1} {seconds:>18.2}");
    }
}
