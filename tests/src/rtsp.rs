//! An RTSP camera that does what real ones do at their worst: it dies, falls silent, changes its resolution, and returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::session::Session;
pub use self::video::Video;

mod packets;
mod session;
mod video;

/// Whoever watches must say so.
const USER: &str = "viewer";
/// A password that must appear in no log.
const PASSWORD: &str = "s3cret-of-the-camera";

/// A camera on a port of its own (RTSP 1.0, RFC 2326; H.264 over interleaved RTP, RFC 6184). It ends with this value.
#[derive(Debug)]
pub struct RtspCamera {
    address: SocketAddr,
    videos: Arc<[Video]>,
    shown: watch::Sender<Shown>,
    listening: Option<JoinHandle<()>>,
}

/// What a camera does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    video: usize,
    silent: bool,
    /// How often it was started. A session of an earlier time is silent for ever.
    boot: u32,
}

impl RtspCamera {
    /// A camera that shows the first of some videos.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start(videos: Vec<Video>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shown = Shown {
            video: 0,
            silent: false,
            boot: 0,
        };
        let mut camera = Self {
            address: listener.local_addr()?,
            videos: videos.into(),
            shown: watch::Sender::new(shown),
            listening: None,
        };
        camera.listen(listener);
        Ok(camera)
    }

    /// Its address, with user and password.
    pub fn url(&self) -> String {
        format!("rtsp://{USER}:{PASSWORD}@{}/street", self.address)
    }

    /// What no log may hold.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and takes no new ones, as when its power goes.
    pub async fn die(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // An aborted task has let its connections go once it can be waited for.
            let _ = listening.await;
        }
    }

    /// Listens again where it did before.
    ///
    /// # Errors
    /// When somebody else has taken its port.
    pub async fn come_back(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await;
        self.listen(listener.context("the camera's port is taken")?);
        Ok(())
    }

    /// Sends nothing any more and answers nobody, but keeps all connections, as when its processor hangs.
    pub fn fall_silent(&self) {
        self.shown.send_modify(|shown| shown.silent = true);
    }

    /// Goes on.
    pub fn speak(&self) {
        self.shown.send_modify(|shown| shown.silent = false);
    }

    /// Goes on, but knows nothing of the connections that it had, as when it was restarted behind a router: they stay open and
    /// silent for ever.
    pub fn restart(&self) {
        self.shown.send_modify(|shown| {
            shown.silent = false;
            shown.boot += 1;
        });
    }

    /// Shows another of its videos from the next frame on, in the same sessions.
    pub fn show(&self, video: usize) {
        self.shown.send_modify(|shown| shown.video = video);
    }

    fn listen(&mut self, listener: TcpListener) {
        let (videos, shown) = (Arc::clone(&self.videos), self.shown.subscribe());
        let authorization = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let authorization: Arc<str> = format!("Basic {authorization}").into();
        self.listening = Some(tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let session = Session::new(
                    connection,
                    Arc::clone(&videos),
                    shown.clone(),
                    Arc::clone(&authorization),
                );
                // Whoever breaks off has had enough.
                sessions.spawn(async move { drop(session.run().await) });
                while sessions.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl Shown {
    /// Waits as long as the camera is silent for sessions of this boot, and says which video it shows then.
    async fn next(shown: &mut watch::Receiver<Self>, boot: u32) -> Result<usize> {
        let speaks = |shown: &Self| !shown.silent && shown.boot == boot;
        Ok(shown.wait_for(speaks).await?.video)
    }
}

/// Time between two frames of every video.
const FRAME: Duration = Duration::from_millis(100);
