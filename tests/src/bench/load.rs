//! The load client: one thread that publishes and counts what arrives at many sockets, the same for every server.
//!
//! Messages are found by a mark in the bytes that arrive, whatever frames surround them. Each carries the time at
//! which it was made.

mod connect;
mod scan;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ashya_tests::cpu_seconds;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::dialect::Dialect;
use crate::publishers::Publisher;

pub(crate) use connect::converse;
pub(crate) use scan::stamped;
use scan::{Scanner, now_ns};

/// Time before the measurement, in which everything gets going.
const WARM_UP: Duration = Duration::from_millis(400);
/// A server that delivers nothing for so long has lost something.
const STALL: Duration = Duration::from_secs(5);
/// Bytes that one read takes at most.
const READ_BYTES: usize = 512 * 1024;
/// Longest wait of the loop; a paced publisher is late by as much at most.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000,
};

/// Many watchers of one server.
pub(crate) struct Crowd {
    epoll: OwnedFd,
    sockets: Vec<Watcher>,
    /// How long it took until all of them watched.
    pub(crate) connecting: Duration,
}

struct Watcher {
    stream: TcpStream,
    scanner: Scanner,
    seen: u64,
}

/// How fast to publish.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// So many messages may be on their way to the slowest watcher.
    InFlight(u64),
    /// So many a second.
    PerSecond(u64),
}

/// What a run has measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// CPU seconds of the server for a million deliveries.
    pub(crate) cpu_per_million: f64,
    /// Deliveries a second.
    pub(crate) per_second: f64,
    /// Nanoseconds from a message's making to its arrival, sorted.
    pub(crate) latencies: Vec<u64>,
}

impl Crowd {
    /// Connects watchers, group by group, so that a server with a slow handshake does not put them in a row.
    pub(crate) fn connect(server: SocketAddr, dialect: &Dialect, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let began = Instant::now();
        let streams = connect::watchers(server, dialect, count)?;
        let connecting = began.elapsed();
        let mut sockets = Vec::with_capacity(count);
        for (index, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            sockets.push(Watcher {
                stream,
                scanner: Scanner::default(),
                seen: 0,
            });
        }
        Ok(Self {
            epoll,
            sockets,
            connecting,
        })
    }

    /// Publishes for `time` and measures what arrives, and what the server `pid` takes for it. Every message must
    /// arrive everywhere.
    pub(crate) fn measure(
        &mut self,
        pid: u32,
        publisher: &mut Publisher,
        pace: Pace,
        time: Duration,
    ) -> Result<Outcome> {
        let mut run = Run::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(1024);
        let began = Instant::now();
        let (mut from, mut outcome) = (None, None);
        let mut last_delivery = (began, 0);
        loop {
            let elapsed = began.elapsed();
            if from.is_none() && elapsed >= WARM_UP {
                from = Some((Instant::now(), cpu_seconds(pid)?, run.delivered));
                run.latencies.clear();
            }
            if let Some((at, cpu, before)) = from.filter(|_| outcome.is_none())
                && elapsed >= WARM_UP + time
            {
                let deliveries = (run.delivered - before) as f64;
                let mut latencies = std::mem::take(&mut run.latencies);
                latencies.sort_unstable();
                outcome = Some(Outcome {
                    cpu_per_million: (cpu_seconds(pid)? - cpu) * 1e6 / deliveries,
                    per_second: deliveries / at.elapsed().as_secs_f64(),
                    latencies,
                });
            }
            if outcome.is_none() {
                let due = self.due(pace, &run, elapsed);
                publisher.send(due, &mut buffer)?;
                run.published += due;
            } else if self.sockets.iter().all(|one| one.seen == run.published) {
                break;
            }
            if run.delivered > last_delivery.1 {
                last_delivery = (Instant::now(), run.delivered);
            }
            ensure!(
                last_delivery.0.elapsed() < STALL,
                "of {} messages to {} watchers only {} arrived",
                run.published,
                self.sockets.len(),
                run.delivered
            );
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&TICK))?;
            for event in &events {
                // The index came from this program.
                self.sockets[event.data.u64() as usize].read(&mut buffer, &mut run)?;
            }
        }
        for socket in &mut self.sockets {
            socket.seen = 0;
        }
        outcome.context("nothing was measured")
    }

    /// How many messages to publish now.
    fn due(&self, pace: Pace, run: &Run, elapsed: Duration) -> u64 {
        match pace {
            Pace::PerSecond(rate) => {
                // Runs last seconds, so it fits.
                let due = (elapsed.as_secs_f64() * rate as f64) as u64;
                due.saturating_sub(run.published)
            }
            Pace::InFlight(window) => {
                let mean = run.delivered / self.sockets.len() as u64;
                if mean + window <= run.published {
                    return 0;
                }
                let slowest = self.sockets.iter().map(|one| one.seen).min();
                (slowest.unwrap_or(0) + window).saturating_sub(run.published)
            }
        }
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Run {
    published: u64,
    delivered: u64,
    latencies: Vec<u64>,
}

impl Watcher {
    fn read(&mut self, buffer: &mut [u8], run: &mut Run) -> Result<()> {
        let kept = self.scanner.restore(buffer);
        match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => bail!("the server closed a watcher"),
            Ok(read) => {
                let now = now_ns();
                let found = self.scanner.scan(&buffer[..kept + read], |stamp| {
                    run.latencies.push(now.saturating_sub(stamp));
                });
                self.seen += found;
                run.delivered += found;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("a watcher's socket"),
        }
    }
}

/// Writes all of it, however long the server takes, reading away what it answers.
pub(crate) fn write_all(stream: &mut TcpStream, bytes: &[u8], scratch: &mut [u8]) -> Result<()> {
    let mut rest = bytes;
    let began = Instant::now();
    loop {
        match stream.read(scratch) {
            Ok(0) => bail!("the server closed the publisher"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the publisher's socket"),
        }
        match stream.write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error).context("the publisher's socket"),
        }
        if rest.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < STALL, "the server takes no messages");
    }
}
