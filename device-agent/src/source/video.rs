use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::causes::causes;
use crate::latest::Put;
use crate::picture::Picture;
use crate::source::camera_url::CameraUrl;
use crate::source::mailbox::{Delivery, Mailbox, Taken};
use crate::source::options::SourceOptions;
use crate::source::pace::Lag;
use crate::source::{Frame, FrameSource, Playback, SourceCounters, SourceError};

use self::arguments::arguments;
use self::child::Ffmpeg;
use self::output::{FrameInfo, Line, read_frame};
use self::version::Version;

mod arguments;
mod child;
mod output;
mod version;

/// The program, as the system finds it.
const FFMPEG: &str = "ffmpeg";
/// Frames whose size is told before their pixels come.
const TOLD_AHEAD: usize = 16;
/// Latest that a frame of a live stream may be against the most punctual one. ffmpeg decodes every frame and cannot skip; on
/// a machine that is too slow for its camera only a new beginning helps.
const MAX_LAG: Duration = Duration::from_secs(5);

/// A video, decoded by a child process `ffmpeg`.
pub struct VideoSource {
    input: VideoInput,
    frames: Mailbox<Picture, VideoError>,
    /// How long the next frame may take.
    patience: Duration,
    stop: CancellationToken,
    count: u64,
    live: bool,
    ffmpeg: Option<Ffmpeg>,
    reader: Option<JoinHandle<()>>,
}

/// Where ffmpeg gets a video from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoInput {
    /// A file.
    File(PathBuf),
    /// A camera of this machine, by Video4Linux.
    Device(PathBuf),
    /// A camera on the network.
    Rtsp(CameraUrl),
    /// A live video by HTTP.
    Stream(CameraUrl),
    /// A video of known length by HTTP.
    Recording(CameraUrl),
}

/// Why a video yields no frame.
#[derive(Debug, Error)]
pub enum VideoError {
    /// The file is not there.
    #[error("is not there, and is no folder, picture, address or scene:SEED either")]
    Missing,
    /// The device is not there.
    #[error("is not there: is the camera plugged in? `v4l2-ctl --list-devices` lists cameras")]
    NoDevice,
    /// The device is not ours to open.
    #[error("may not be opened by this user: `sudo usermod -aG video $USER`, then log in again")]
    Forbidden,
    /// ffmpeg is not installed.
    #[error("needs ffmpeg, which is not installed: `apt install ffmpeg` or `brew install ffmpeg`")]
    NoFfmpeg,
    /// ffmpeg is too old.
    #[error("needs ffmpeg 4.4 or later, found {found}: update it")]
    TooOld {
        /// The version that is installed.
        found: String,
    },
    /// ffmpeg cannot be started.
    #[error("ffmpeg cannot be started")]
    Start(#[source] io::Error),
    /// The shell that ends ffmpeg together with this program cannot be started.
    #[error("`sh`, which guards ffmpeg, cannot be started")]
    Guard(#[source] io::Error),
    /// ffmpeg gave up.
    #[error("ffmpeg gave up: {complaint}{}", advice(.complaint))]
    Failed {
        /// Its last words, without secrets.
        complaint: String,
    },
    /// Nothing came for a while.
    #[error("yielded nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// Frames come later and later.
    #[error("has fallen {} s behind: this machine cannot decode so much; choose a smaller stream of the camera", .0.as_secs())]
    Behind(Duration),
    /// A frame of no or too great size.
    #[error("has frames of {width}x{height}, which is no picture")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

impl VideoSource {
    /// Starts ffmpeg on a video. The video ends when `stop` is cancelled, also while it yields nothing.
    ///
    /// # Errors
    /// When the file, the device or ffmpeg is not there.
    pub fn open(
        input: VideoInput,
        playback: Playback,
        options: &SourceOptions,
        counters: &SourceCounters,
        stop: CancellationToken,
    ) -> Result<Self, SourceError> {
        let path = input.to_string();
        Self::start(input, playback, options, counters, stop)
            .map_err(|source| SourceError::Video { path, source })
    }

    fn start(
        input: VideoInput,
        playback: Playback,
        options: &SourceOptions,
        counters: &SourceCounters,
        stop: CancellationToken,
    ) -> Result<Self, VideoError> {
        input.check()?;
        let (live, delivery) = match playback {
            Playback::Once => (None, Delivery::EachInTurn),
            Playback::Live(interval) => (Some(interval), Delivery::NewestOnly),
        };
        let arguments = arguments(&input, live, options, Version::installed()?);
        let (ffmpeg, output, log) = Ffmpeg::start(FFMPEG, &arguments)?;
        let frames = Mailbox::new(delivery);
        let (told, infos) = sync_channel(TOLD_AHEAD);
        let url = input.url().cloned();
        let logged = thread::spawn(move || read_log(log, &told, url.as_ref()));
        let reading = Reading {
            frames: frames.clone(),
            counters: counters.clone(),
            lag: (live.is_some() && input.is_live()).then(Lag::default),
        };
        // Both threads end when the child closes its ends, which dropping the source makes it do.
        let reader = thread::spawn(move || reading.run(output, &infos, logged));
        Ok(Self {
            input,
            frames,
            patience: options.watchdog + live.unwrap_or_default(),
            stop,
            count: 0,
            live: live.is_some(),
            ffmpeg: Some(ffmpeg),
            reader: Some(reader),
        })
    }

    /// Whether an end is none but in words: ffmpeg complains of damage that it concealed, and gave frames nevertheless.
    fn is_remark(&mut self, end: &VideoError) -> bool {
        matches!(end, VideoError::Failed { .. })
            && self.count > 0
            && self.ffmpeg.as_mut().is_some_and(Ffmpeg::ended_well)
    }

    fn failed(&self, source: VideoError) -> SourceError {
        SourceError::Video {
            path: self.input.to_string(),
            source,
        }
    }
}

impl FrameSource for VideoSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        match self.frames.take(self.patience, &self.stop) {
            Taken::Item(picture) => {
                self.count += 1;
                let stem = self.input.stem();
                Ok(Some(Frame {
                    name: format!("{stem}-{:06}.jpg", self.count),
                    picture,
                }))
            }
            Taken::End(Ok(())) => Ok(None),
            Taken::End(Err(error)) if self.is_remark(&error) => {
                let error = causes(&error);
                warn!(source = %self.input, error, "the video ended with a complaint");
                Ok(None)
            }
            Taken::End(Err(error)) => Err(self.failed(error)),
            Taken::Nothing => Err(self.failed(VideoError::Stalled(self.patience))),
        }
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        self.frames.close();
        drop(self.ffmpeg.take());
        if let Some(reader) = self.reader.take() {
            // Its panic would have shown itself as the end of the source.
            let _ = reader.join();
        }
    }
}

impl VideoInput {
    /// Looks at what can be looked at without ffmpeg, whose words for it say less.
    fn check(&self) -> Result<(), VideoError> {
        match self {
            Self::File(path) if !path.is_file() => Err(VideoError::Missing),
            Self::Device(path) => match std::fs::File::open(path) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    Err(VideoError::Forbidden)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(VideoError::NoDevice),
                // Busy, perhaps: ffmpeg will tell.
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    const fn url(&self) -> Option<&CameraUrl> {
        match self {
            Self::Rtsp(url) | Self::Stream(url) | Self::Recording(url) => Some(url),
            Self::File(_) | Self::Device(_) => None,
        }
    }

    /// Whether it goes on by itself, so that who is slow falls behind.
    const fn is_live(&self) -> bool {
        matches!(self, Self::Device(_) | Self::Rtsp(_) | Self::Stream(_))
    }

    /// What the names of its frames begin with.
    fn stem(&self) -> String {
        match self {
            Self::File(path) | Self::Device(path) => Path::new(path)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            Self::Rtsp(_) | Self::Stream(_) | Self::Recording(_) => "camera".into(),
        }
    }
}

impl std::fmt::Display for VideoInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Device(path) => path.display().fmt(f),
            Self::Rtsp(url) | Self::Stream(url) | Self::Recording(url) => url.fmt(f),
        }
    }
}

impl VideoError {
    fn from_start(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoFfmpeg,
            _ => Self::Start(error),
        }
    }
}

/// What to do about a complaint of ffmpeg.
fn advice(complaint: &str) -> &'static str {
    let known = [
        (
            "401 ",
            ": write user and password as rtsp://user:password@host/…",
        ),
        (
            "403 ",
            ": this user may not watch; look into the camera's settings",
        ),
        ("404 ", ": is the path right?"),
        (
            "461 ",
            ": set `transport` in [source] to the other of tcp and udp",
        ),
        (
            "onnection refused",
            ": is the port right, and RTSP switched on in the camera?",
        ),
        (
            "o route to host",
            ": is the camera on, and its address right?",
        ),
        ("imed out", ": is the camera on, and its address right?"),
        ("failed to resolve", ": is its name right?"),
        ("resource busy", ": another program uses the camera"),
        ("Invalid data found", ": is it a video?"),
        ("matches no streams", ": it holds no video"),
        (
            "whitelist",
            ": it is of a kind that may not be opened, such as a playlist",
        ),
        ("Option not found", ": look at `ffmpeg_input` in [source]"),
    ];
    let found = known.iter().find(|(words, _)| complaint.contains(words));
    found.map_or("", |(_, advice)| advice)
}

/// The thread that reads frames.
struct Reading {
    frames: Mailbox<Picture, VideoError>,
    counters: SourceCounters,
    lag: Option<Lag>,
}

impl Reading {
    fn run(
        mut self,
        output: ChildStdout,
        infos: &Receiver<FrameInfo>,
        logged: JoinHandle<Option<String>>,
    ) {
        let failed = self.forward(output, infos).err();
        if let Some(error) = failed {
            self.frames.end(Err(error));
        }
        // Nothing is read any more, so the log must not wait either. It ends with the child.
        while infos.recv().is_ok() {}
        let complaint = logged.join().ok().flatten();
        let end = complaint.map_or(Ok(()), |complaint| Err(VideoError::Failed { complaint }));
        self.frames.end(end);
    }

    /// Hands on frames until the child ends or nobody wants more.
    fn forward(
        &mut self,
        output: ChildStdout,
        infos: &Receiver<FrameInfo>,
    ) -> Result<(), VideoError> {
        let mut output = BufReader::with_capacity(1 << 16, output);
        while let Ok(info) = infos.recv() {
            let Some(picture) = read_frame(&mut output, info)? else {
                break;
            };
            match self.frames.put(picture) {
                Put::Stored => {}
                Put::Replaced => self.counters.dropped(),
                Put::Closed => break,
            }
            if let (Some(lag), Some(stamp)) = (&mut self.lag, info.stamp) {
                let behind = lag.observe(Instant::now(), stamp);
                if behind > MAX_LAG {
                    return Err(VideoError::Behind(behind));
                }
            }
        }
        Ok(())
    }
}

/// Reads what the child says, so that it never waits for us: the sizes of frames, and the last complaint.
fn read_log(
    log: ChildStderr,
    infos: &SyncSender<FrameInfo>,
    url: Option<&CameraUrl>,
) -> Option<String> {
    let mut log = BufReader::new(log);
    let mut complaint = None;
    while let Some(line) = Line::read(&mut log) {
        match line {
            // A receiver that is gone needs no sizes.
            Line::Frame(info) => drop(infos.send(info)),
            Line::Complaint(text) => complaint = Some(text),
            Line::Other => {}
        }
    }
    complaint.map(|text| url.map_or_else(|| text.clone(), |url| url.redact(&text)))
}

#[cfg(test)]
mod tests;
