//! Server CPU seconds per million deliveries, beside every peer that can be had, in turns.

use std::time::Duration;

use anyhow::Result;
use ashya_tests::raise_file_limit;

use crate::dialect::Dialect;
use crate::load::{Crowd, Pace};
use crate::peers::{Kind, Peer};
use crate::publishers::Publisher;
use crate::seller::Seller;
use crate::table::median;

/// Time of one measurement.
const TURN: Duration = Duration::from_millis(1_200);

/// What is published, and to how many.
#[derive(Debug, Clone, Copy)]
struct Case {
    title: &'static str,
    stream: &'static str,
    bytes: usize,
    watchers: usize,
    in_flight: u64,
}

const CASES: [Case; 3] = [
    Case {
        title: "300 bytes to 1,000 sockets, 1 in flight",
        stream: "detections",
        bytes: 300,
        watchers: 1_000,
        in_flight: 1,
    },
    Case {
        title: "300 bytes to 1,000 sockets, 8 in flight",
        stream: "detections",
        bytes: 300,
        watchers: 1_000,
        in_flight: 8,
    },
    Case {
        title: "50 kB to 100 sockets, 4 in flight",
        stream: "frames",
        bytes: 50_000,
        watchers: 100,
        in_flight: 4,
    },
];

pub(super) async fn run(rounds: usize, kinds: Vec<Kind>) -> Result<()> {
    raise_file_limit()?;
    println!(
        "Fan-out: CPU seconds of the server for a million deliveries, medians of {rounds} rounds."
    );
    println!(
        "Ashya verifies a signature an event and asks for the paid access of each delivery; the others check nothing."
    );
    for case in CASES {
        // Servers of their own for each case, so that none inherits memory or sockets of the one before.
        let folder = tempfile::tempdir()?;
        let mut seller = Seller::start().await?;
        let sold = seller.sell(case.stream).await?;
        let gateway = seller.world.gateway.process().id();
        let (mut device, dialect) = seller.publisher(sold, case.stream, case.bytes).await?;
        let mut peers = Vec::new();
        for kind in &kinds {
            peers.push(Peer::start(*kind, folder.path()).await?);
        }
        let mut own = Row::default();
        let mut others = vec![Row::default(); peers.len()];
        for _ in 0..rounds {
            own.add(case.measure(seller.http(), &dialect, gateway, &mut device)?);
            for (peer, row) in peers.iter_mut().zip(&mut others) {
                peer.process.check_running()?;
                let (dialect, pid) = (peer.kind.dialect(), peer.process.id());
                let publisher = Publisher::of_peer(peer.address, dialect.clone(), case.bytes);
                row.add(case.measure(peer.address, &dialect, pid, &mut publisher?)?);
            }
        }
        println!("\n{}", case.title);
        println!(
            "{:<20} {:>8} {:>12} {:>7}",
            "server", "s/M", "deliveries/s", "ratio"
        );
        let bun = peers.iter().position(|peer| peer.kind == Kind::Bun);
        let yardstick = bun.map_or(f64::NAN, |index| median(&others[index].cpu));
        own.print("Ashya", yardstick);
        for (peer, row) in peers.iter().zip(&others) {
            row.print(peer.kind.name(), yardstick);
        }
    }
    Ok(())
}

impl Case {
    fn measure(
        &self,
        server: std::net::SocketAddr,
        dialect: &Dialect,
        pid: u32,
        publisher: &mut Publisher,
    ) -> Result<(f64, f64)> {
        let mut crowd = Crowd::connect(server, dialect, self.watchers)?;
        let outcome = crowd.measure(pid, publisher, Pace::InFlight(self.in_flight), TURN)?;
        Ok((outcome.cpu_per_million, outcome.per_second))
    }
}

/// What one server has shown.
#[derive(Debug, Clone, Default)]
struct Row {
    cpu: Vec<f64>,
    rate: Vec<f64>,
}

impl Row {
    fn add(&mut self, (cpu, rate): (f64, f64)) {
        self.cpu.push(cpu);
        self.rate.push(rate);
    }

    fn print(&self, name: &str, yardstick: f64) {
        let (cpu, rate) = (median(&self.cpu), median(&self.rate));
        println!(
            "{name:<20} {cpu:>8.2} {rate:>12.0} {:>7.2}",
            cpu / yardstick
        );
    }
}
