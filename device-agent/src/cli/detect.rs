use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::ahead::{After, ahead};
use self::output::Output;
use self::progress::Progress;
use crate::cli::RuntimeArgs;
use crate::detect::{Confidence, Detector, ModelOptions, Overlap, Provider, Size};
use crate::runtime::Runtime;
use crate::source::{Playback, SourceSpec};
use crate::threads::Threads;

mod ahead;
mod output;
mod progress;

/// Frames taken from a source that never ends.
const ENDLESS_FRAMES: usize = 25;

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
    /// Write the pictures with their boxes drawn into this folder, not the one they come from; `a.png` becomes `a.png.jpg`
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
    /// Run the model so many times on each picture, to time it alone
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// At the end write what a picture took as JSON to standard error
    #[arg(long)]
    timings: bool,
    #[command(flatten)]
    runtime: RuntimeArgs,
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
    let source = args
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
    let after = match args.annotate {
        Some(_) => After::Keep,
        None => After::Drop,
    };
    ahead(source, detector.preparation(), after, |next| {
        while progress.pictures() < limit
            && let Some(taken) = next.take()
        {
            match taken {
                Ok(mut ready) => {
                    let mut look = || {
                        let found =
                            detector.look(&ready.prepared, args.confidence, Overlap::REFERENCE)?;
                        progress.ran(&found);
                        anyhow::Ok(found)
                    };
                    let mut found = look()?;
                    for _ in 1..args.repeat {
                        found = look()?;
                    }
                    progress.step(&ready, found.objects.len());
                    output.write(&detector, &mut ready, &found.objects)?;
                    next.give_back(ready.prepared);
                }
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    failures += 1;
                    eprintln!("{:#}", anyhow::Error::from(error));
                }
            }
        }
        anyhow::Ok(())
    })?;
    output.finish()?;
    progress.finish();
    if args.timings {
        eprintln!("{}", progress.timings());
    }
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
