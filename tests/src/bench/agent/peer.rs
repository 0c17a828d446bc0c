use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ashya_tests::repository;
use serde::Deserialize;

use super::{MEGABYTES, THREADS, Turn, Work, last_json};
use crate::table::median;

/// A program that does the same work, and its figures, one a round.
pub(super) struct Peer {
    name: &'static str,
    /// What `tests/bench/vision.py` calls it.
    kind: &'static str,
    python: PathBuf,
    picture_ms: Vec<f64>,
    run_ms: Vec<f64>,
    ratio: Vec<f64>,
    /// Ashya's time over its, one picture after the other and side by side.
    ours: Vec<f64>,
    jobs: Vec<f64>,
    memory: Vec<f64>,
}

/// What it prints.
#[derive(Debug, Deserialize)]
struct Timings {
    wall_ms: f64,
    run_ms: f64,
    peak_kb: f64,
}

/// The peers that can be had; the others are told.
pub(super) fn peers() -> Vec<Peer> {
    [
        ("Python, ONNX Runtime and OpenCV", "opencv", "vision"),
        ("Ultralytics", "ultralytics", "ultralytics"),
    ]
    .into_iter()
    .filter_map(|(name, kind, tools)| match python(tools) {
        Ok(python) => Some(Peer {
            name,
            kind,
            python,
            picture_ms: Vec::new(),
            run_ms: Vec::new(),
            ratio: Vec::new(),
            ours: Vec::new(),
            jobs: Vec::new(),
            memory: Vec::new(),
        }),
        Err(error) => {
            eprintln!("!!! {name} is left out: {error:#}");
            None
        }
    })
    .collect()
}

/// The Python that has these tools; they are installed where they are not.
fn python(tools: &str) -> Result<PathBuf> {
    let output = Command::new(repository().join("scripts/prove/venv.sh"))
        .arg(tools)
        .output()
        .context("no bash")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.trim());
    let programs = String::from_utf8(output.stdout)?;
    Ok(Path::new(programs.trim()).join("python"))
}

impl Peer {
    /// One turn, after ours.
    pub(super) fn measure(&mut self, work: &Work, own: Turn) -> Result<()> {
        let output = Command::new(&self.python)
            .arg(repository().join("tests/bench/vision.py"))
            .arg(self.kind)
            .args([&work.model, &work.pictures])
            .arg(THREADS)
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {errors}", self.name);
        let figures: Timings = last_json(&String::from_utf8(output.stdout)?)?;
        self.picture_ms.push(figures.wall_ms);
        self.run_ms.push(figures.run_ms);
        self.ratio.push(figures.wall_ms / figures.run_ms);
        self.ours.push(own.picture_ms / figures.wall_ms);
        self.jobs.push(own.jobs_ms / figures.wall_ms);
        self.memory.push(figures.peak_kb * MEGABYTES);
        Ok(())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<31} {:>10.1} {:>10.1} {:>10.2} {:>10.2} {:>10.2} {:>6.0}",
            self.name,
            median(&self.picture_ms),
            median(&self.run_ms),
            median(&self.ratio),
            median(&self.ours),
            median(&self.jobs),
            median(&self.memory)
        )
    }
}
