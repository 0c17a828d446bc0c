use std::fs;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::ahead::Given;
use super::jobs::Sight;

/// How often long work says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// The same on a terminal, where the line before goes away.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
/// Ticks a second in which Linux counts processor time for programs, whatever the kernel's own clock.
const TICKS: f64 = 100.0;

/// Tells on standard error how far long work is, and adds up what its steps take.
pub(super) struct Progress {
    begun: Instant,
    told: Instant,
    on_terminal: bool,
    pictures: usize,
    objects: usize,
    runs: usize,
    decode: Duration,
    prepare: Duration,
    run: Duration,
    read: Duration,
    /// Processor time when it began.
    cpu: Option<f64>,
}

/// What `--timings` writes. Steps that overlap add up to more than the wall shows.
#[derive(Debug, Serialize)]
struct Timings {
    pictures: usize,
    runs: usize,
    /// All pictures, without loading the model.
    wall_seconds: f64,
    /// Of this process, without its children; where the system tells.
    cpu_seconds: Option<f64>,
    /// Most memory that this process had, loading included; where the system tells.
    peak_kb: Option<u64>,
    /// Milliseconds a picture.
    decode_ms: f64,
    prepare_ms: f64,
    /// Milliseconds a run.
    run_ms: f64,
    read_ms: f64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            told: now,
            on_terminal: io::stderr().is_terminal(),
            pictures: 0,
            objects: 0,
            runs: 0,
            decode: Duration::ZERO,
            prepare: Duration::ZERO,
            run: Duration::ZERO,
            read: Duration::ZERO,
            cpu: cpu_seconds(),
        }
    }

    pub(super) const fn pictures(&self) -> usize {
        self.pictures
    }

    /// A picture is done.
    pub(super) fn step(&mut self, picture: &Given, sight: &Sight) {
        self.pictures += 1;
        self.objects += sight.objects.len();
        self.decode += picture.decode;
        self.prepare += picture.prepare;
        self.runs += sight.runs as usize;
        self.run += sight.run;
        self.read += sight.read;
        let interval = if self.on_terminal {
            TERMINAL_INTERVAL
        } else {
            PROGRESS_INTERVAL
        };
        if self.told.elapsed() >= interval {
            self.told = Instant::now();
            if self.on_terminal {
                eprint!("\r\x1b[K{}", self.words("so far"));
            } else {
                eprintln!("{}", self.words("so far"));
            }
        }
    }

    pub(super) fn finish(&self) {
        let clear = if self.on_terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{}", self.words("in all"));
    }

    pub(super) fn timings(&self) -> String {
        let millis = |time: Duration, count: usize| time.as_secs_f64() * 1e3 / count.max(1) as f64;
        let cpu = cpu_seconds().zip(self.cpu);
        let timings = Timings {
            pictures: self.pictures,
            runs: self.runs,
            wall_seconds: self.begun.elapsed().as_secs_f64(),
            cpu_seconds: cpu.map(|(now, before)| now - before),
            peak_kb: peak_kb(),
            decode_ms: millis(self.decode, self.pictures),
            prepare_ms: millis(self.prepare, self.pictures),
            run_ms: millis(self.run, self.runs),
            read_ms: millis(self.read, self.runs),
        };
        serde_json::to_string(&timings).expect("numbers are JSON")
    }

    fn words(&self, when: &str) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.pictures as f64 / seconds.max(1e-9);
        format!(
            "{when}: {} pictures, {} objects, {seconds:.1} s, {rate:.1} pictures/s",
            self.pictures, self.objects
        )
    }
}

/// Processor time of this process so far, user and system; Linux tells it.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name comes in brackets and may hold blanks; the times are the 12th and 13th after it.
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

/// Most memory that this process had in kB; Linux tells it.
fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
