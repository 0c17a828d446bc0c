use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest silence of a camera: a key frame of the slowest ones comes every 10 s, and a restarted one needs longer to
/// answer. ffmpeg itself says nothing when its source dies.
const WATCHDOG: Duration = Duration::from_secs(20);

/// How a source is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOptions {
    /// Who decodes RTSP.
    pub decoder: Decoder,
    /// How RTSP carries the video.
    pub transport: Transport,
    /// More arguments of ffmpeg before its input, such as `-hwaccel vaapi`.
    pub ffmpeg_input: Vec<String>,
    /// A source that gives no frame for so long is closed, and opened again.
    pub watchdog: Duration,
}

/// Who decodes an RTSP stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    /// A child process `ffmpeg`: every codec, hardware decoders.
    #[default]
    Ffmpeg,
    /// The program itself: H.264 over plain RTSP, without any other program; the first frame comes sooner.
    Native,
}

/// How RTSP carries the video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Inside the RTSP connection: nothing is lost, and no port must be open.
    #[default]
    Tcp,
    /// As datagrams: for cameras that cannot do otherwise.
    Udp,
}

impl Transport {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            decoder: Decoder::default(),
            transport: Transport::default(),
            ffmpeg_input: Vec::new(),
            watchdog: WATCHDOG,
        }
    }
}
