use std::time::{Duration, Instant};

use futures_util::StreamExt;
use openh264::decoder::{DecodedYUV, Decoder};
use openh264::formats::YUVSource;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions,
    Transport as Carrier, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::latest::Put;
use crate::picture::Picture;
use crate::source::camera_url::CameraUrl;
use crate::source::mailbox::{Delivery, Mailbox, Taken};
use crate::source::options::{SourceOptions, Transport};
use crate::source::pace::{Lag, Pace};
use crate::source::worker::Worker;
use crate::source::{Frame, FrameSource, Playback, SourceCounters, SourceError};

/// What a camera may log about who asks.
const USER_AGENT: &str = concat!("ashya-agent/", env!("CARGO_PKG_VERSION"));
/// Latest that a frame may be against the most punctual one. Beyond that all up to the next key frame are dropped, which
/// costs nothing.
const MAX_LAG: Duration = Duration::from_secs(1);
/// Highest status of RTSP that tells of a wrong or missing password.
const UNAUTHORIZED: u16 = 401;

/// A camera that speaks RTSP, received and decoded by this program: H.264 alone (RFC 7826, RFC 6184).
pub struct RtspSource {
    url: CameraUrl,
    frames: Mailbox<Picture, RtspError>,
    /// How long the next frame may take.
    patience: Duration,
    stop: CancellationToken,
    count: u64,
    _worker: Worker,
}

/// Why a camera that speaks RTSP yields no frame.
#[derive(Debug, Error)]
pub enum RtspError {
    /// It does not take the user and password, or wants some.
    #[error("refuses this user and password: write rtsp://user:password@host/…")]
    Password,
    /// It answers with another error.
    #[error("answers with RTSP status {0}: is the path right?")]
    Status(u16),
    /// It cannot be reached, or breaks off.
    #[error("cannot be read: {0}")]
    Session(String),
    /// It has no video of the kind that is decoded here.
    #[error(
        "sends {found}, and the native decoder knows H.264 alone: set `decoder = \"ffmpeg\"`, or H.264 in the camera"
    )]
    Codec {
        /// What it offers.
        found: String,
    },
    /// It ended the stream.
    #[error("ended its stream")]
    Ended,
    /// Nothing came for a while.
    #[error("yielded nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The decoder does not start.
    #[error("the H.264 decoder does not start: {0}")]
    Decoder(String),
    /// The system has no thread for it.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl RtspSource {
    /// Begins to connect to the camera.
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
        let (interval, delivery) = match playback {
            Playback::Once => (Duration::ZERO, Delivery::EachInTurn),
            Playback::Live(interval) => (interval, Delivery::NewestOnly),
        };
        let frames = Mailbox::new(delivery);
        let watching = Watching {
            url: url.clone(),
            transport: options.transport,
            frames: frames.clone(),
            counters: counters.clone(),
            pace: Pace::new(interval, Instant::now()),
            lag: Lag::default(),
            needs_key: true,
        };
        let worker = Worker::spawn("rtsp camera", watching.run()).map_err(|error| {
            let source = RtspError::Thread(error);
            let path = url.to_string();
            SourceError::Rtsp { path, source }
        })?;
        Ok(Self {
            url,
            frames,
            patience: options.watchdog + interval,
            stop,
            count: 0,
            _worker: worker,
        })
    }

    fn failed(&self, source: RtspError) -> SourceError {
        SourceError::Rtsp {
            path: self.url.to_string(),
            source,
        }
    }
}

impl FrameSource for RtspSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        match self.frames.take(self.patience, &self.stop) {
            Taken::Item(picture) => {
                self.count += 1;
                Ok(Some(Frame {
                    name: format!("camera-{:06}.jpg", self.count),
                    picture,
                }))
            }
            Taken::End(Ok(())) => Ok(None),
            Taken::End(Err(error)) => Err(self.failed(error)),
            Taken::Nothing => Err(self.failed(RtspError::Stalled(self.patience))),
        }
    }

    fn is_live(&self) -> bool {
        true
    }
}

impl Drop for RtspSource {
    fn drop(&mut self) {
        self.frames.close();
    }
}

/// The work of the thread that receives and decodes.
struct Watching {
    url: CameraUrl,
    transport: Transport,
    frames: Mailbox<Picture, RtspError>,
    counters: SourceCounters,
    pace: Pace,
    lag: Lag,
    /// Nothing can be decoded before the next key frame.
    needs_key: bool,
}

impl Watching {
    async fn run(mut self) {
        let end = self.watch().await;
        self.frames.end(end);
    }

    async fn watch(&mut self) -> Result<(), RtspError> {
        let mut decoder = Decoder::new().map_err(|error| RtspError::Decoder(error.to_string()))?;
        let mut stream = self.play().await?;
        while let Some(item) = stream.next().await {
            let CodecItem::VideoFrame(frame) = item.map_err(|error| self.failed(&error))? else {
                continue;
            };
            if let Some(picture) = self.decode(&mut decoder, &frame) {
                match self.frames.put(picture) {
                    Put::Stored => {}
                    Put::Replaced => self.counters.dropped(),
                    Put::Closed => return Ok(()),
                }
            }
        }
        Err(RtspError::Ended)
    }

    async fn play(&self) -> Result<Demuxed, RtspError> {
        let credentials = self.url.credentials();
        let credentials =
            credentials.map(|(username, password)| Credentials { username, password });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent(USER_AGENT.into());
        let failed = |error| self.failed(&error);
        let described = Session::describe(self.url.without_credentials(), options).await;
        let mut session = described.map_err(failed)?;
        let video = session.streams().iter().position(|stream| {
            stream.media() == "video" && stream.encoding_name().eq_ignore_ascii_case("h264")
        });
        let Some(video) = video else {
            let offered = session.streams().iter();
            let offered = offered.map(|stream| stream.encoding_name().to_owned());
            let found = offered.collect::<Vec<_>>().join(", ");
            return Err(RtspError::Codec { found });
        };
        let carrier = match self.transport {
            Transport::Tcp => Carrier::Tcp(TcpTransportOptions::default()),
            Transport::Udp => Carrier::Udp(UdpTransportOptions::default()),
        };
        let options = SetupOptions::default()
            .transport(carrier)
            .frame_format(FrameFormat::SIMPLE);
        session.setup(video, options).await.map_err(failed)?;
        let playing = session.play(PlayOptions::default()).await;
        playing.map_err(failed)?.demuxed().map_err(failed)
    }

    /// The picture of a frame, where one is due. Every frame counts for the decoder, except where it is to catch up.
    fn decode(&mut self, decoder: &mut Decoder, frame: &VideoFrame) -> Option<Picture> {
        let now = Instant::now();
        let stamp = Duration::try_from_secs_f64(frame.timestamp().elapsed_secs());
        let late = self.lag.observe(now, stamp.unwrap_or_default()) > MAX_LAG;
        self.needs_key |= late || frame.loss() > 0;
        if self.needs_key && !frame.is_random_access_point() {
            self.counters.dropped();
            return None;
        }
        match decoder.decode(frame.data()) {
            Ok(decoded) => {
                self.needs_key = false;
                picture(&decoded.filter(|_| self.pace.is_due(now))?)
            }
            Err(_) => {
                self.counters.decode_error();
                self.needs_key = true;
                None
            }
        }
    }

    fn failed(&self, error: &retina::Error) -> RtspError {
        match error.status_code() {
            Some(UNAUTHORIZED) => RtspError::Password,
            Some(status) => RtspError::Status(status),
            None => RtspError::Session(self.url.redact(&one_line(error))),
        }
    }
}

fn picture(decoded: &DecodedYUV<'_>) -> Option<Picture> {
    let (width, height) = decoded.dimensions();
    let mut rgb = vec![0; width * height * 3];
    decoded.write_rgb8(&mut rgb);
    Picture::from_rgb(u32::try_from(width).ok()?, u32::try_from(height).ok()?, rgb).ok()
}

/// The first paragraph: the library tells the state of the connection after it.
fn one_line(error: &retina::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
