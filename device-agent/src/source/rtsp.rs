use std::time::{Duration, Instant};

use futures_util::StreamExt;
use openh264::decoder::{DecodedYUV, Decoder};
use openh264::formats::YUVSource;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions,
    Transport as Carrier, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters};
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
/// Most pixels of a picture: those of 36,864 macroblocks, level 5.2 of H.264 (table A-1), beyond which OpenH264 answers
/// each frame with an error that tells nothing. Less than what other sources may send.
const MAX_PIXELS: u32 = 36_864 * 16 * 16;
/// Longest side of a picture: √8 times that of a square one (H.264, A.3.1).
const MAX_SIDE: u32 = 543 * 16;
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
    /// Its pictures are larger than what is decoded here.
    #[error(
        "sends pictures of {width}x{height}, and the native decoder takes {} megapixels at most: set \
         `decoder = \"ffmpeg\"`, or a smaller picture in the camera",
        f64::from(MAX_PIXELS / 100_000) / 10.0
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
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
            if frame.is_random_access_point()
                && let Some(ParametersRef::Video(parameters)) =
                    stream.streams()[frame.stream_id()].parameters()
            {
                check_size(parameters)?;
            }
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

/// Whether pictures of such a stream are decoded; to be asked before the decoder takes memory for them.
fn check_size(parameters: &VideoParameters) -> Result<(), RtspError> {
    let (width, height) = parameters.coded_pixel_dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > u64::from(MAX_PIXELS) {
        return Err(RtspError::TooLarge { width, height });
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use retina::codec::h26x::Framing;
    use retina::codec::h264::parameters_from_sps_and_pps;

    use super::*;

    /// The picture parameters that go with any sequence.
    const PPS: [u8; 4] = [0x68, 0xce, 0x38, 0x80];

    /// Writes the fields of a sequence parameter set (H.264, 7.3.2.1.1).
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn number(&mut self, value: u32, bits: u32) {
            self.0
                .extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
        }

        /// An Exp-Golomb code (9.1).
        fn code(&mut self, value: u32) {
            let length = (value + 1).ilog2();
            self.number(0, length);
            self.number(value + 1, length + 1);
        }

        fn nal(mut self) -> Vec<u8> {
            self.number(1, 1);
            self.0.resize(self.0.len().next_multiple_of(8), false);
            let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
            self.0.chunks(8).map(byte).collect()
        }
    }

    fn parameters(width: u32, height: u32) -> VideoParameters {
        let mut bits = Bits::default();
        for (value, length) in [(0x67, 8), (66, 8), (0xc0, 8), (52, 8)] {
            bits.number(value, length);
        }
        // Numbers of the set, of frames, of their order, and of reference frames.
        for value in [0, 0, 2, 1] {
            bits.code(value);
        }
        bits.number(0, 1);
        bits.code(width / 16 - 1);
        bits.code(height / 16 - 1);
        // Whole frames, no cropping, nothing about display.
        bits.number(0b1100, 4);
        parameters_from_sps_and_pps(&bits.nal(), &PPS, Framing::AnnexB).unwrap()
    }

    #[test]
    fn a_picture_that_is_too_large_is_refused_before_it_is_decoded() {
        for (width, height, is_taken) in [
            (640, 480, true),
            (4096, 2304, true),
            (8688, 1072, true),
            (4096, 2320, false),
            (8704, 16, false),
            (16, 8704, false),
            (65_520, 65_520, false),
        ] {
            let checked = check_size(&parameters(width, height));
            assert_eq!(checked.is_ok(), is_taken, "{width}x{height}");
        }
        let error = check_size(&parameters(4000, 3008)).unwrap_err().to_string();
        assert!(error.contains("4000x3008"), "{error}");
        assert!(error.contains("9.4 megapixels"), "{error}");
    }
}
