use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::annotate::annotate;
use crate::cli::RuntimeArgs;
use crate::detect::{Candidate, Confidence, Detector, ModelOptions, Overlap, Provider, Size};
use crate::runtime::Runtime;
use crate::source::{Frame, Playback, SourceSpec};
use crate::threads::Threads;

/// Frames taken from a source that never ends.
const ENDLESS_FRAMES: usize = 25;
/// Quality of annotated pictures, as JPEG counts it.
const ANNOTATED_QUALITY: u8 = 90;
/// How often long work says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// `ashya-agent detect`.
#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    /// The model: a YOLO as ONNX (YOLOv5, v8, 11, YOLOX, or end to end as v10 and 26)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// A folder of pictures, a picture, a video file, scene:SEED for a generated street, or a camera: rtsp://…,
    /// http://…, v4l2:/dev/video0
    #[arg(long, value_name = "SOURCE")]
    source: SourceSpec,
    /// Write a JSON line a picture to this file, `-` for standard output instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the pictures with their boxes drawn into this folder
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// Least score that counts, 0 to 1
    #[arg(long, default_value_t = Confidence::DEFAULT)]
    confidence: Confidence,
    /// CPU threads for one picture [default: as many as there are]
    #[arg(long)]
    threads: Option<Threads>,
    /// Stop after so many pictures [default: all; 25 of a scene or a camera, which never end]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// What computes the model, the best first: cpu, cuda, tensorrt, openvino, coreml [default: cpu]
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Vec<Provider>,
    /// Size of a dynamic input [default: what the model says, else 640x640]
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    input: Option<Size>,
    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// A line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    image: &'a str,
    width: u32,
    height: u32,
    objects: Vec<Object<'a>>,
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    label: &'a str,
    class: u32,
    score: f32,
    /// x1, y1, x2, y2 in pixels of the picture.
    #[serde(rename = "box")]
    bounds: [f32; 4],
}

/// Runs the model over the source. A picture that cannot be read is told and makes the exit code 1.
pub(super) fn run(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let runtime = Runtime::load(&args.runtime.clone().into())?;
    let options = ModelOptions {
        file: args.model.clone(),
        threads: args.threads.unwrap_or_default(),
        providers: args.providers.clone(),
        input: args.input,
    };
    let mut detector = Detector::load(&runtime, &options)?;
    let mut source = args
        .source
        .open(Playback::Once, &CancellationToken::new())?;
    let mut output = Output::open(args, &detector)?;
    let limit = match args.limit {
        Some(limit) => limit,
        None if args.source.is_endless() => ENDLESS_FRAMES,
        None => usize::MAX,
    };
    let mut progress = Progress::new();
    let mut failures = 0;
    while progress.pictures < limit {
        match source.next_frame() {
            Ok(Some(frame)) => {
                let objects =
                    detector.detect(&frame.picture, args.confidence, Overlap::REFERENCE)?;
                output.write(&detector, frame, &objects)?;
                progress.step(objects.len());
            }
            Ok(None) => break,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                failures += 1;
                eprintln!("{:#}", anyhow::Error::from(error));
            }
        }
    }
    output.finish()?;
    progress.finish();
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything that a run writes.
struct Output<'a> {
    table: bool,
    json: Option<BufWriter<Box<dyn Write>>>,
    folder: Option<&'a Path>,
}

impl<'a> Output<'a> {
    fn open(args: &'a DetectArgs, detector: &Detector) -> anyhow::Result<Self> {
        let to_stdout = args.json.as_deref() == Some(Path::new("-"));
        let json: Option<Box<dyn Write>> = match &args.json {
            None => None,
            Some(_) if to_stdout => Some(Box::new(io::stdout())),
            Some(path) => {
                Some(Box::new(File::create(path).with_context(|| {
                    format!("cannot write {}", path.display())
                })?))
            }
        };
        if let Some(folder) = &args.annotate {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        if !to_stdout {
            writeln!(
                io::stdout(),
                "model {} ({}, {} classes, input {})",
                detector.info().name,
                detector.layout().family,
                detector.labels().len(),
                detector.input()
            )?;
            writeln!(io::stdout(), "{:<24} {:>11}  objects", "image", "size")?;
        }
        Ok(Self {
            table: !to_stdout,
            json: json.map(BufWriter::new),
            folder: args.annotate.as_deref(),
        })
    }

    fn write(
        &mut self,
        detector: &Detector,
        mut frame: Frame,
        objects: &[Candidate],
    ) -> anyhow::Result<()> {
        if self.table {
            let row = row(&frame, objects, |class| detector.label(class));
            writeln!(io::stdout(), "{row}")?;
        }
        if let Some(json) = &mut self.json {
            serde_json::to_writer(
                &mut *json,
                &line(&frame, objects, |class| detector.label(class)),
            )?;
            json.write_all(b"\n")?;
        }
        if let Some(folder) = self.folder {
            annotate(&mut frame.picture, objects, |class| {
                detector.label(class).to_owned()
            });
            let path = folder.join(&frame.name).with_extension("jpg");
            fs::write(&path, frame.picture.to_jpeg(ANNOTATED_QUALITY)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.json.map_or(Ok(()), |mut json| json.flush())
    }
}

fn line<'a>(frame: &'a Frame, objects: &[Candidate], label: impl Fn(u32) -> &'a str) -> Line<'a> {
    let object = |object: &Candidate| Object {
        label: label(object.class),
        class: object.class,
        score: object.score,
        bounds: [
            object.bounds.x1,
            object.bounds.y1,
            object.bounds.x2,
            object.bounds.y2,
        ],
    };
    Line {
        image: &frame.name,
        width: frame.picture.width(),
        height: frame.picture.height(),
        objects: objects.iter().map(object).collect(),
    }
}

fn row<'a>(frame: &Frame, objects: &[Candidate], label: impl Fn(u32) -> &'a str) -> String {
    let seen: Vec<String> = objects
        .iter()
        .map(|object| format!("{} {:.2}", label(object.class), object.score))
        .collect();
    let seen = if seen.is_empty() {
        "-".to_owned()
    } else {
        seen.join(", ")
    };
    let size = format!("{}x{}", frame.picture.width(), frame.picture.height());
    format!("{:<24} {size:>11}  {seen}", frame.name)
}

/// Tells on standard error how far long work is.
struct Progress {
    begun: Instant,
    told: Instant,
    pictures: usize,
    objects: usize,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            told: now,
            pictures: 0,
            objects: 0,
        }
    }

    fn step(&mut self, objects: usize) {
        self.pictures += 1;
        self.objects += objects;
        if self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            self.tell("so far");
        }
    }

    fn finish(&self) {
        self.tell("in all");
    }

    fn tell(&self, when: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.pictures as f64 / seconds.max(1e-9);
        eprintln!(
            "{when}: {} pictures, {} objects, {seconds:.1} s, {rate:.1} pictures/s",
            self.pictures, self.objects
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::PixelBox;
    use crate::picture::Picture;

    fn frame() -> Frame {
        let picture = Picture::from_rgb(2, 1, vec![0; 6]).unwrap();
        Frame {
            name: "a.jpg".into(),
            picture,
        }
    }

    fn dog() -> Candidate {
        Candidate {
            bounds: PixelBox {
                x1: 0.0,
                y1: 0.0,
                x2: 1.5,
                y2: 1.0,
            },
            score: 0.75,
            class: 16,
        }
    }

    #[test]
    fn a_json_line_has_the_documented_form() {
        let frame = frame();
        let text = serde_json::to_string(&line(&frame, &[dog()], |_| "dog")).unwrap();
        assert_eq!(
            text,
            r#"{"image":"a.jpg","width":2,"height":1,"objects":[{"label":"dog","class":16,"score":0.75,"box":[0.0,0.0,1.5,1.0]}]}"#
        );
    }

    #[test]
    fn a_row_names_the_objects() {
        assert!(row(&frame(), &[dog(), dog()], |_| "dog").ends_with("2x1  dog 0.75, dog 0.75"));
        assert!(row(&frame(), &[], |_| "dog").ends_with("  -"));
    }
}
