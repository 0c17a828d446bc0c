//! What a socket that waits costs in memory, and how long a crowd takes to connect.

use std::time::Duration;

use anyhow::Result;
use ashya_tests::{raise_file_limit, resident_kb};

use crate::dialect::Dialect;
use crate::load::Crowd;
use crate::peers::{Kind, Peer};
use crate::seller::Seller;
use crate::table::median;

/// Sockets that connect at once.
const SOCKETS: usize = 5_000;
/// Time for a server's memory to settle.
const SETTLE: Duration = Duration::from_millis(700);

pub(super) async fn run(rounds: usize, kinds: Vec<Kind>) -> Result<()> {
    raise_file_limit()?;
    println!(
        "{SOCKETS} sockets that wait, medians of {rounds} rounds; Ashya's are signed in and watch a paid feed."
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
        own.add(connect(address, &sold.dialect(), pid)?);
        drop(seller);
        for (kind, row) in kinds.iter().zip(&mut others) {
            let peer = Peer::start(*kind, folder.path()).await?;
            row.add(connect(peer.address, &kind.dialect(), peer.process.id())?);
        }
    }
    println!(
        "{:<20} {:>12} {:>18}",
        "server", "kB a socket", "seconds to connect"
    );
    own.print("Ashya");
    for (kind, row) in kinds.iter().zip(&others) {
        row.print(kind.name());
    }
    Ok(())
}

fn connect(server: std::net::SocketAddr, dialect: &Dialect, pid: u32) -> Result<(f64, f64)> {
    let before = resident_kb(pid)?;
    let crowd = Crowd::connect(server, dialect, SOCKETS)?;
    std::thread::sleep(SETTLE);
    let grown = resident_kb(pid)?.saturating_sub(before);
    Ok((
        grown as f64 / SOCKETS as f64,
        crowd.connecting.as_secs_f64(),
    ))
}

/// What one server has shown.
#[derive(Debug, Clone, Default)]
struct Row {
    memory: Vec<f64>,
    seconds: Vec<f64>,
}

impl Row {
    fn add(&mut self, (memory, seconds): (f64, f64)) {
        self.memory.push(memory);
        self.seconds.push(seconds);
    }

    fn print(&self, name: &str) {
        let (memory, seconds) = (median(&self.memory), median(&self.seconds));
        println!("{name:<20} {memory:>12.1} {seconds:>18.2}");
    }
}
