use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time that a gateway may take to answer, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Any 16 bytes, as base64.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server makes of [`KEY`] (RFC 6455, section 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Any mask; not zero, so that it shows.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The beginning of a frame (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with a message.
    Continuation,
    /// A text.
    Text,
    /// Bytes.
    Binary,
    /// A goodbye.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
    /// One that the RFC keeps for later.
    Reserved(u8),
}

/// A frame from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFrame {
    /// What it is.
    pub opcode: Opcode,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A websocket whose client keeps no rules: it sends any bytes, and shows each frame that comes back.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Opcode {
    /// The four bits.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(bits) => bits,
        }
    }

    const fn of(bits: u8) -> Self {
        match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => Self::Reserved(other),
        }
    }
}

/// A client's frame with any first byte, masked.
pub fn frame_of(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head_of(first, payload.len() as u64);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// A whole message of a client as one frame.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame_of(0x80 | opcode.bits(), payload)
}

/// A client's frame that is not the last of its message.
pub fn part(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame_of(opcode.bits(), payload)
}

/// The head of a masked frame that says it is so long.
pub fn head_of(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => head.push(0x80 | short),
        (_, Ok(medium)) => {
            head.push(0x80 | 126);
            head.extend(medium.to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

impl RawSocket {
    /// Opens a websocket.
    ///
    /// # Errors
    /// When the gateway does not take it, or offers an extension.
    pub async fn open(gateway: SocketAddr) -> Result<Self> {
        let more = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
        let (answer, stream) = Self::shake_hands(gateway, "13", KEY, more).await?;
        ensure!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let answer = answer.to_ascii_lowercase();
        ensure!(answer.contains(&ACCEPT.to_ascii_lowercase()), "{answer}");
        ensure!(!answer.contains("sec-websocket-extensions"), "{answer}");
        Ok(Self {
            stream,
            read: Vec::new(),
        })
    }

    /// Asks for a websocket of a version by a key, each left out when empty, with more header lines; returns the head of the
    /// answer too.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn shake_hands(
        gateway: SocketAddr,
        version: &str,
        key: &str,
        more: &str,
    ) -> Result<(String, TcpStream)> {
        let mut stream = TcpStream::connect(gateway).await?;
        stream.set_nodelay(true)?;
        let mut request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {gateway}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        );
        for (name, value) in [
            ("Sec-WebSocket-Version", version),
            ("Sec-WebSocket-Key", key),
        ] {
            if !value.is_empty() {
                request += &format!("{name}: {value}\r\n");
            }
        }
        request += &format!("{more}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        let whole = async {
            // Byte by byte, so that no frame behind it is taken along.
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            anyhow::Ok(())
        };
        timeout(ANSWER_LIMIT, whole).await.context("no answer")??;
        Ok((String::from_utf8(head)?, stream))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the gateway has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Ends the client's half of the connection.
    ///
    /// # Errors
    /// When the gateway has ended it.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// The next frame; `None` when the gateway has closed.
    ///
    /// # Errors
    /// When nothing comes in time, or a frame that no server may send.
    pub async fn next(&mut self) -> Result<Option<ServerFrame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            let read = timeout(ANSWER_LIMIT, self.stream.read_buf(&mut self.read)).await;
            match read.context("the gateway neither answers nor closes")? {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self) -> Result<Option<ServerFrame>> {
        let &[first, second, ..] = self.read.as_slice() else {
            return Ok(None);
        };
        if first & 0xf0 != 0x80 || second & 0x80 != 0 {
            bail!("a frame of a server begins with {first:#04x} {second:#04x}");
        }
        let (long, short) = match second {
            126 => (2, 0),
            127 => (8, 0),
            length => (0, usize::from(length)),
        };
        let Some(bytes) = self.read.get(2..2 + long) else {
            return Ok(None);
        };
        let length = bytes
            .iter()
            .fold(short, |sum, byte| sum << 8 | usize::from(*byte));
        let Some(payload) = self.read.get(2 + long..2 + long + length) else {
            return Ok(None);
        };
        let frame = ServerFrame {
            opcode: Opcode::of(first & 0x0f),
            payload: payload.to_vec(),
        };
        self.read.drain(..2 + long + length);
        Ok(Some(frame))
    }
}
