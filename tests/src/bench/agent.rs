//! Looking at pictures: what `ashya-agent detect` takes beside the run of the model alone, and beside its peers in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ashya_tests::{binary, repository, shared};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::peer::peers;
use crate::table::median;

mod peer;

/// CPU threads of one picture, for all.
const THREADS: &str = "2";
/// The same threads for as many pictures side by side.
const SIDE_BY_SIDE: [&str; 4] = ["--jobs", THREADS, "--threads", "1"];
/// Runs of the model on one picture, to time it alone.
const RUNS: &str = "128";
/// Size of the frames of the video: what cameras give.
const FRAME: &str = "1280:720";
/// What the system counts memory in: MB of a kB of 1,024 bytes.
const MEGABYTES: f64 = 1.024e-3;

/// What they look at, and with what.
struct Work {
    model: PathBuf,
    pictures: PathBuf,
    video: Option<PathBuf>,
}

/// The last line that `detect --timings` writes.
#[derive(Debug, Deserialize)]
struct Timings {
    pictures: f64,
    runs: f64,
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_kb: f64,
    run_ms: f64,
}

/// Ashya's milliseconds a picture in one round.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// One after the other.
    picture_ms: f64,
    /// Side by side.
    jobs_ms: f64,
}

/// Ashya's figures, one a round.
#[derive(Debug, Default)]
struct Own {
    run_ms: Vec<f64>,
    picture_ms: Vec<f64>,
    ratio: Vec<f64>,
    memory: Vec<f64>,
    jobs_ms: Vec<f64>,
    jobs_ratio: Vec<f64>,
    jobs_memory: Vec<f64>,
    video_ratio: Vec<f64>,
    video_memory: Vec<f64>,
}

pub(super) fn run(rounds: usize, alone: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let work = Work::find(folder.path())?;
    let mut peers = if alone { Vec::new() } else { peers() };
    println!(
        "{} on the pictures of {}, {THREADS} threads, medians of {rounds} rounds in which all take turns.\n\
         The run alone is the graph by itself, again and again on one picture; video: {FRAME}, CPU of the agent without ffmpeg's.",
        work.model.display(),
        work.pictures.display()
    );
    let mut own = Own::default();
    for _ in 0..rounds {
        let turn = own.measure(&work)?;
        for peer in &mut peers {
            peer.measure(&work, turn)?;
        }
    }
    println!(
        "{:<31} {:>10} {:>10} {:>10} {:>10} {:>10} {:>6}",
        "", "ms/picture", "run alone", "ratio", "Ashya/it", "jobs/it", "MB"
    );
    for (name, picture_ms, ratio, memory) in [
        ("Ashya", &own.picture_ms, &own.ratio, &own.memory),
        (
            "Ashya, --jobs 2 --threads 1",
            &own.jobs_ms,
            &own.jobs_ratio,
            &own.jobs_memory,
        ),
    ] {
        println!(
            "{name:<31} {:>10.1} {:>10.1} {:>10.2} {:>10} {:>10} {:>6.0}",
            median(picture_ms),
            median(&own.run_ms),
            median(ratio),
            "",
            "",
            median(memory)
        );
    }
    if work.video.is_some() {
        println!(
            "{:<31} {:>32.2} {:>28.0}",
            "Ashya on a video, CPU",
            median(&own.video_ratio),
            median(&own.video_memory)
        );
    }
    for peer in &peers {
        println!("{peer}");
    }
    Ok(())
}

impl Own {
    /// One turn.
    fn measure(&mut self, work: &Work) -> Result<Turn> {
        let one_by_one = ["--threads", THREADS];
        let single = work.detect(&work.first()?, &["--threads", THREADS, "--repeat", RUNS])?;
        let folder = work.detect(&work.pictures, &one_by_one)?;
        let jobs = work.detect(&work.pictures, &SIDE_BY_SIDE)?;
        let picture_ms = folder.wall_seconds * 1e3 / folder.pictures;
        self.run_ms.push(single.run_ms);
        self.picture_ms.push(picture_ms);
        self.ratio.push(picture_ms / single.run_ms);
        self.memory.push(folder.peak_kb * MEGABYTES);
        let jobs_ms = jobs.wall_seconds * 1e3 / jobs.pictures;
        self.jobs_ms.push(jobs_ms);
        self.jobs_ratio.push(jobs_ms / single.run_ms);
        self.jobs_memory.push(jobs.peak_kb * MEGABYTES);
        if let Some(video) = &work.video {
            let frames = work.detect(video, &one_by_one)?;
            let run = single.cpu_seconds / single.runs;
            self.video_ratio
                .push(frames.cpu_seconds / frames.pictures / run);
            self.video_memory.push(frames.peak_kb * MEGABYTES);
        }
        Ok(Turn {
            picture_ms,
            jobs_ms,
        })
    }
}

impl Work {
    /// YOLO11 on photographs where they are; they cannot be given away. Else the default model on its scenes.
    fn find(folder: &Path) -> Result<Self> {
        let root = repository();
        let mut work = if let Some(shared) = shared() {
            Self {
                model: shared.join("models/yolo11n_320_fp32dq.onnx"),
                pictures: shared.join("images/coco128val/images"),
                video: None,
            }
        } else {
            eprintln!(
                "!!! YOLO11n and photographs are not there (ASHYA_SHARED, ../shared): the default model instead, \
                 whose run is so short that all else shows"
            );
            Self {
                model: root.join("models/street_tiny_320.onnx"),
                pictures: root.join("models/street_synth/images"),
                video: None,
            }
        };
        work.video = work.film(folder)?;
        Ok(work)
    }

    /// The pictures as a video; none without ffmpeg.
    fn film(&self, folder: &Path) -> Result<Option<PathBuf>> {
        let video = folder.join("pictures.mp4");
        let filmed = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-framerate", "10"])
            .args(["-pattern_type", "glob", "-i"])
            .arg(self.pictures.join("*.jpg"))
            .args(["-vf", &format!("scale={FRAME}"), "-pix_fmt", "yuv420p"])
            .arg(&video)
            .output();
        let Ok(filmed) = filmed else {
            eprintln!("!!! the video is left out: ffmpeg is not installed");
            return Ok(None);
        };
        ensure!(
            filmed.status.success(),
            "ffmpeg: {}",
            String::from_utf8_lossy(&filmed.stderr)
        );
        Ok(Some(video))
    }

    fn first(&self) -> Result<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.pictures)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        files.into_iter().next().context("no picture")
    }

    fn detect(&self, source: &Path, more: &[&str]) -> Result<Timings> {
        let mut command = Command::new(binary("ashya-agent")?);
        command.args(["detect", "--timings", "--json", "-"]);
        command.arg("--model").arg(&self.model);
        command.arg("--source").arg(source).args(more);
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the agent failed: {errors}");
        last_json(&errors)
    }
}

/// The figures that a program wrote last.
fn last_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    let line = text.lines().rfind(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.context("no figures")?)?)
}
