use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::packets::Packets;
use super::video::Video;
use super::{FRAME, Shown};

/// Ticks of the clock of video in RTP.
const CLOCK_HZ: f64 = 90_000.0;

/// One connection to the camera.
pub(super) struct Session {
    input: BufReader<OwnedReadHalf>,
    speaker: Speaker,
}

/// The side of a connection that answers and sends.
struct Speaker {
    output: OwnedWriteHalf,
    videos: Arc<[Video]>,
    shown: watch::Receiver<Shown>,
    /// The boot of the camera that this connection belongs to.
    boot: u32,
    authorization: Arc<str>,
}

#[derive(Debug)]
struct Request {
    method: String,
    uri: String,
    headers: HashMap<String, String>,
}

impl Session {
    pub(super) fn new(
        connection: TcpStream,
        videos: Arc<[Video]>,
        shown: watch::Receiver<Shown>,
        authorization: Arc<str>,
    ) -> Self {
        let (input, output) = connection.into_split();
        let boot = shown.borrow().boot;
        let speaker = Speaker {
            boot,
            output,
            videos,
            shown,
            authorization,
        };
        Self {
            input: BufReader::new(input),
            speaker,
        }
    }

    /// Answers until the other side says goodbye.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            let request = read_request(&mut self.input).await?;
            Shown::next(&mut self.speaker.shown, self.speaker.boot).await?;
            self.speaker.answer(&request).await?;
            if request.method == "PLAY" {
                let (asked, requests) = mpsc::channel(1);
                tokio::select! {
                    ended = listen(self.input, asked) => return ended,
                    ended = self.speaker.play(requests) => return ended,
                }
            }
        }
    }
}

impl Speaker {
    async fn answer(&mut self, request: &Request) -> Result<()> {
        let sequence = request.header("cseq");
        let mut head = format!("CSeq: {sequence}\r\n");
        let mut body = String::new();
        let mut status = "200 OK";
        if request.method != "OPTIONS" && request.header("authorization") != &*self.authorization {
            status = "401 Unauthorized";
            head += "WWW-Authenticate: Basic realm=\"camera\"\r\n";
        } else {
            match request.method.as_str() {
                "OPTIONS" => {
                    let known = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER";
                    head += &format!("Public: {known}\r\n");
                }
                "DESCRIBE" => {
                    let uri = request.uri.trim_end_matches('/');
                    head += &format!("Content-Base: {uri}/\r\nContent-Type: application/sdp\r\n");
                    body = self.description()?;
                }
                "SETUP" if request.header("transport").contains("TCP") => {
                    head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n";
                }
                "SETUP" => status = "461 Unsupported Transport",
                _ => head += "Session: 1\r\n",
            }
        }
        let length = body.len();
        let answer = format!("RTSP/1.0 {status}\r\n{head}Content-Length: {length}\r\n\r\n{body}");
        Ok(self.output.write_all(answer.as_bytes()).await?)
    }

    fn description(&self) -> Result<String> {
        let video = &self.videos[self.shown.borrow().video];
        let parameters = video.parameters()?;
        Ok(format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=street\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
             m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 {parameters}\r\na=control:track1\r\n"
        ))
    }

    /// Sends a frame at a time, and answers in between.
    async fn play(mut self, mut requests: mpsc::Receiver<Request>) -> Result<()> {
        let mut packets = Packets::default();
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut playing, mut number) = (Shown::next(&mut self.shown, self.boot).await?, 0);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let video = Shown::next(&mut self.shown, self.boot).await?;
                    if video != playing {
                        (playing, number) = (video, 0);
                    }
                    let time = (begun.elapsed().as_secs_f64() * CLOCK_HZ) as u32;
                    let sent = packets.of_frame(self.videos[playing].frame(number), time);
                    self.output.write_all(&sent).await?;
                    number += 1;
                }
                Some(request) = requests.recv() => self.answer(&request).await?,
            }
        }
    }
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Reads what comes while the video plays, until it ends.
async fn listen(mut input: BufReader<OwnedReadHalf>, asked: mpsc::Sender<Request>) -> Result<()> {
    loop {
        // Receiver reports stand between requests, each with its own frame.
        if input.fill_buf().await?.first() == Some(&b'$') {
            let mut head = [0; 4];
            input.read_exact(&mut head).await?;
            let length = u16::from_be_bytes([head[2], head[3]]);
            let mut report = vec![0; usize::from(length)];
            input.read_exact(&mut report).await?;
            continue;
        }
        let request = read_request(&mut input).await?;
        if request.method == "TEARDOWN" {
            return Ok(());
        }
        asked.send(request).await?;
    }
}

async fn read_request(input: &mut BufReader<OwnedReadHalf>) -> Result<Request> {
    let mut line = String::new();
    if input.read_line(&mut line).await? == 0 {
        bail!("the other side is gone");
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().context("a request names its method")?;
    let uri = words.next().context("a request names its address")?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Request {
        method,
        uri,
        headers,
    })
}
