use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use thiserror::Error;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::latest::Put;
use crate::picture::{Picture, PictureError};
use crate::source::camera_url::CameraUrl;
use crate::source::mailbox::{Delivery, Mailbox, Taken};
use crate::source::options::SourceOptions;
use crate::source::pace::Pace;
use crate::source::video::{VideoInput, VideoSource};
use crate::source::worker::Worker;
use crate::source::{Frame, FrameSource, Playback, SourceCounters, SourceError};

use self::camera::HttpCamera;
use self::parts::Parts;

mod camera;
mod parts;

/// Largest picture that a camera may send.
const MAX_PICTURE: usize = 32 << 20;
/// Time between two pictures of a source that is not played live.
const DEFAULT_INTERVAL: Duration = Duration::from_millis(200);

/// A camera that answers HTTP: an MJPEG stream, a picture that is asked for again and again, or a video for ffmpeg.
///
/// Pictures that are not used are not decoded.
pub struct HttpSource {
    url: CameraUrl,
    playback: Playback,
    options: SourceOptions,
    counters: SourceCounters,
    stop: CancellationToken,
    pictures: Mailbox<Vec<u8>, End>,
    /// How long the next picture may take.
    patience: Duration,
    count: u64,
    worker: Option<Worker>,
    /// The answer is a video.
    video: Option<VideoSource>,
}

/// Why a camera that answers HTTP yields no frame.
#[derive(Debug, Error)]
pub enum HttpError {
    /// It cannot be reached, or breaks off.
    #[error("cannot be read")]
    Request(#[source] reqwest::Error),
    /// It asks for a password.
    #[error("wants a password: write http://user:password@host/…")]
    NeedsPassword,
    /// It does not take the password.
    #[error("refuses this user and password")]
    WrongPassword,
    /// It asks for a password in a way that is not known.
    #[error("wants a kind of authentication that is not known: {0}")]
    Authentication(String),
    /// It answers with an error.
    #[error("answers with HTTP status {0}: is the path right?")]
    Status(u16),
    /// It answers with a text for people.
    #[error("answers with a web page instead of pictures: is the path right?")]
    Page,
    /// Its stream has no parts.
    #[error("says that it sends an MJPEG stream, and does not")]
    NoParts,
    /// Its picture is too large.
    #[error("sends a picture of more than {} MiB", MAX_PICTURE >> 20)]
    TooLarge,
    /// It ended the stream.
    #[error("ended its stream")]
    Ended,
    /// Nothing came for a while.
    #[error("yielded nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// Why no more pictures come.
#[derive(Debug)]
enum End {
    /// It is a video: of known length, or live.
    Video(VideoInput),
    /// Something went wrong.
    Failed(HttpError),
}

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Picture,
    Parts,
    Page,
    Unknown,
}

impl HttpSource {
    /// Begins to ask the camera.
    ///
    /// # Errors
    /// When the system has no thread for it. That the camera does not answer is an error of the first frame.
    pub fn open(
        url: CameraUrl,
        playback: Playback,
        options: &SourceOptions,
        counters: &SourceCounters,
        stop: CancellationToken,
    ) -> Result<Self, SourceError> {
        let pictures = Mailbox::new(Delivery::NewestOnly);
        let interval = match playback {
            Playback::Once => DEFAULT_INTERVAL,
            Playback::Live(interval) => interval,
        };
        let asking = Asking {
            url: url.clone(),
            interval,
            timeout: options.watchdog,
            pictures: pictures.clone(),
            counters: counters.clone(),
        };
        let worker = Worker::spawn("http camera", asking.run()).map_err(|error| {
            let source = HttpError::Thread(error);
            let path = url.to_string();
            SourceError::Http { path, source }
        })?;
        Ok(Self {
            url,
            playback,
            options: options.clone(),
            counters: counters.clone(),
            stop,
            pictures,
            patience: options.watchdog + interval,
            count: 0,
            worker: Some(worker),
            video: None,
        })
    }

    fn failed(&self, source: HttpError) -> SourceError {
        SourceError::Http {
            path: self.url.to_string(),
            source,
        }
    }

    fn decoded(&mut self, bytes: &[u8]) -> Result<Option<Frame>, SourceError> {
        let picture =
            Picture::decode(bytes).map_err(|source: PictureError| SourceError::Picture {
                path: self.url.to_string(),
                source,
            })?;
        self.count += 1;
        Ok(Some(Frame {
            name: format!("camera-{:06}.jpg", self.count),
            picture,
        }))
    }
}

impl FrameSource for HttpSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        if let Some(video) = &mut self.video {
            return video.next_frame();
        }
        match self.pictures.take(self.patience, &self.stop) {
            Taken::Item(bytes) => self.decoded(&bytes),
            Taken::Nothing => Err(self.failed(HttpError::Stalled(self.patience))),
            Taken::End(Ok(())) => Ok(None),
            Taken::End(Err(End::Failed(error))) => Err(self.failed(error)),
            Taken::End(Err(End::Video(input))) => {
                self.worker = None;
                let video = VideoSource::open(
                    input,
                    self.playback,
                    &self.options,
                    &self.counters,
                    self.stop.clone(),
                )?;
                self.video.insert(video).next_frame()
            }
        }
    }

    fn is_live(&self) -> bool {
        true
    }
}

/// The work of the thread that asks the camera.
struct Asking {
    url: CameraUrl,
    interval: Duration,
    timeout: Duration,
    pictures: Mailbox<Vec<u8>, End>,
    counters: SourceCounters,
}

impl Asking {
    async fn run(self) {
        let end = match self.ask().await {
            Ok(Some(input)) => End::Video(input),
            Ok(None) => return self.pictures.end(Ok(())),
            Err(error) => End::Failed(error),
        };
        self.pictures.end(Err(end));
    }

    /// Hands on pictures until nobody wants more; `Some` when the answer is a video instead.
    async fn ask(&self) -> Result<Option<VideoInput>, HttpError> {
        let mut camera = HttpCamera::new(&self.url)?;
        let mut answer = camera.get().await?;
        let content_type = content_type(&answer);
        let first = match content(&content_type) {
            Content::Parts => {
                self.parts(answer, Parts::new(&content_type, MAX_PICTURE))
                    .await?;
                return Ok(None);
            }
            Content::Page => return Err(HttpError::Page),
            Content::Picture => Vec::new(),
            Content::Unknown => {
                let first = answer.chunk().await?.unwrap_or_default();
                if !is_picture(&first) {
                    return Ok(Some(self.video(&answer)));
                }
                first.to_vec()
            }
        };
        let mut picture = self.picture(answer, first).await?;
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while self.hand_on(picture) {
            ticks.tick().await;
            let again = async { self.picture(camera.get().await?, Vec::new()).await };
            picture = tokio::time::timeout(self.timeout, again)
                .await
                .map_err(|_| HttpError::Stalled(self.timeout))??;
        }
        Ok(None)
    }

    /// A video of known length is a recording, unless it is a playlist.
    fn video(&self, answer: &Response) -> VideoInput {
        let playlist = content_type(answer).contains("mpegurl");
        if answer.content_length().is_some() && !playlist {
            VideoInput::Recording(self.url.clone())
        } else {
            VideoInput::Stream(self.url.clone())
        }
    }

    /// Reads the rest of a picture.
    async fn picture(
        &self,
        mut answer: Response,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, HttpError> {
        while let Some(more) = answer.chunk().await? {
            if bytes.len() + more.len() > MAX_PICTURE {
                return Err(HttpError::TooLarge);
            }
            bytes.extend_from_slice(&more);
        }
        Ok(bytes)
    }

    async fn parts(&self, mut answer: Response, mut parts: Parts) -> Result<(), HttpError> {
        let mut pace = Pace::new(self.interval, Instant::now());
        while let Some(more) = answer.chunk().await? {
            parts.push(&more);
            while let Some(picture) = parts.next()? {
                if pace.is_due(Instant::now()) && !self.hand_on(picture) {
                    return Ok(());
                }
            }
        }
        Err(HttpError::Ended)
    }

    /// False when nobody wants more.
    fn hand_on(&self, picture: Vec<u8>) -> bool {
        match self.pictures.put(picture) {
            Put::Stored => true,
            Put::Replaced => {
                self.counters.dropped();
                true
            }
            Put::Closed => false,
        }
    }
}

impl From<reqwest::Error> for HttpError {
    /// Without the address, which may hold a password.
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

fn content_type(answer: &Response) -> String {
    let value = answer.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// By the type that the camera names; some name none, or the one for anything.
fn content(content_type: &str) -> Content {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "image/jpeg" | "image/jpg" | "image/pjpeg" | "image/png" => Content::Picture,
        "text/html" => Content::Page,
        kind if kind.starts_with("multipart/") => Content::Parts,
        _ => Content::Unknown,
    }
}

fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8]) || bytes.starts_with(b"\x89PNG")
}

#[cfg(test)]
mod tests;
