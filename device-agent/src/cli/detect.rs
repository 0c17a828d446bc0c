use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::ahead::After;
use self::jobs::{Look, LookError, side_by_side};
use self::output::Output;
use self::progress::Progress;
use crate::cli::RuntimeArgs;
use crate::detect::{Confidence, Detector, ModelOptions, Provider, Size};
use crate::runtime::Runtime;
use crate::source::{Playback, SourceSpec};
use crate::threads::Threads;

mod ahead;
mod jobs;
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
    /// Pictures to look at side by side, each by a model of its own: with as many as there are cores the fastest way
    /// through a folder, as long as decoding keeps up. Each takes the memory of a model, and with `--annotate` of
    /// three pictures
    #[arg(long, value_name = "N", default_value_t = Threads::ONE)]
    jobs: Threads,
    /// CPU threads for one picture [default: as many as there are, shared among the jobs]
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
    #[arg(long, value_name = "N", default_value_t = NonZero::<u32>::MIN)]
    repeat: NonZero<u32>,
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
        threads: args.threads.unwrap_or(Threads::shared_by(args.jobs)),
        providers: args.providers.clone(),
        input: args.input,
    };
    let load = |_| Detector::load(&runtime, &options);
    let detectors: Vec<_> = (0..args.jobs.get()).map(load).collect::<Result<_, _>>()?;
    let stop = CancellationToken::new();
    let source = args.source.open(Playback::Once, &stop)?;
    let mut output = Output::open(args, &detectors[0])?;
    let limit = match args.limit {
        Some(limit) => limit,
        None if args.source.is_endless() => ENDLESS_FRAMES,
        None => usize::MAX,
    };
    let look = Look {
        confidence: args.confidence,
        repeat: args.repeat,
        after: match args.annotate {
            Some(_) => After::Keep,
            None => After::Drop,
        },
    };
    let mut progress = Progress::new();
    let mut failures = 0;
    side_by_side(source, detectors, look, |looked| {
        // However it ends, nobody waits for a camera's next frame.
        let _enough = stop.drop_guard();
        while progress.pictures() < limit
            && let Some(looked) = looked.next()
        {
            match looked {
                Ok((mut given, sight)) => {
                    progress.step(&given, &sight);
                    output.write(&mut given, &sight.objects)?;
                }
                Err(LookError::Source(error)) if !error.is_fatal() => {
                    failures += 1;
                    eprintln!("{:#}", anyhow::Error::from(error));
                }
                Err(error) => return Err(error.into()),
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
