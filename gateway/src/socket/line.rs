//! The way to one client: tungstenite reads and keeps the rules of RFC 6455, and what goes out is written here, from
//! the bytes that all watchers share, in one vectored write.
//!
//! ```text
//!  Message (frame encoded once) ──┐
//!  control messages ──────────────┼─► Line: one writev a batch ──► TCP
//!  tungstenite's pong and close ──┘
//! ```

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ashya_protocol::limits::MAX_CLIENT_MESSAGE_BYTES;
use ashya_protocol::ws::{CloseCode, ServerMessage};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Role, WebSocketConfig, WebSocketContext,
};
use tokio_tungstenite::tungstenite::{Error, Message as Received};

use crate::connection::Connection;
use crate::hub::{Encoding, Message, framed};
use crate::tcp::Tcp;

/// Bytes that one read takes: a plain request; longer ones take more reads. The room for them stays with each socket.
const READ_BYTES: usize = 128;
/// Batches up to this are copied together.
const GATHER_BYTES: usize = 8 * 1024;
/// Most pieces of one vectored write.
const MAX_PIECES: usize = 64;

/// Bytes of the key that masks what a client sends (RFC 6455, section 5.3).
const MASK_BYTES: usize = 4;

/// Opcode of a ping (RFC 6455, section 5.2).
const PING: u8 = 9;
/// Opcode of a text.
const TEXT: u8 = 1;

/// One client's websocket.
#[derive(Debug)]
pub(super) struct Line {
    connection: Connection,
    rules: WebSocketContext,
    /// Bytes that have come since all were read the last time.
    received: usize,
    /// Bytes that the messages among them have taken at least; not so of a goodbye, behind which none comes.
    taken: usize,
    out: Output,
}

/// What waits to be written: whole frames, the first of them perhaps begun.
#[derive(Debug, Default)]
struct Output {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are out already.
    written: usize,
}

#[derive(Debug)]
enum Piece {
    /// An event, as all of its watchers share it.
    Event(Arc<Message>, Encoding),
    Own(Bytes),
}

/// The rules of RFC 6455 for what a client sends, with this gateway's limits; `early` is what came right behind the
/// handshake. Does no I/O: it is handed a stream at each read.
pub fn client_rules(early: &[u8]) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MAX_CLIENT_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_CLIENT_MESSAGE_BYTES));
    WebSocketContext::from_partially_read(early.to_vec(), Role::Server, Some(config))
}

impl Line {
    /// A websocket after its handshake; `early` is what the client sent right behind it.
    pub(super) fn new(connection: Connection, early: &[u8]) -> Self {
        Self {
            connection,
            rules: client_rules(early),
            received: early.len(),
            taken: 0,
            out: Output::default(),
        }
    }

    /// Whether everything is out.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.pieces.is_empty()
    }

    /// Whether some of an event waits: it may no longer be written once its right has ended, a pong always may.
    pub(super) fn holds_events(&self) -> bool {
        let mut pieces = self.out.pieces.iter();
        pieces.any(|piece| matches!(piece, Piece::Event(..)))
    }

    /// Queues an event.
    pub(super) fn push_event(&mut self, event: Arc<Message>, encoding: Encoding) {
        self.out.pieces.push_back(Piece::Event(event, encoding));
    }

    /// Goes on with events of which so many bytes were written past this line, before all that is queued.
    pub(super) fn push_begun(
        &mut self,
        events: &[Arc<Message>],
        encoding: Encoding,
        written: usize,
    ) {
        let pieces = events.iter().cloned();
        self.out
            .begin_with(pieces.map(|event| Piece::Event(event, encoding)), written);
    }

    /// The connection, where it can be written to beside this line.
    pub(super) fn tcp(&self) -> Option<Tcp> {
        self.connection.tcp()
    }

    /// Queues a message.
    pub(super) fn push_message(&mut self, message: &ServerMessage) {
        // Control messages hold only texts and numbers, which always have a JSON form.
        let text = serde_json::to_vec(message).unwrap_or_default();
        self.out.push(framed(TEXT, &text));
    }

    /// Queues a ping.
    pub(super) fn push_ping(&mut self) {
        self.out.push(framed(PING, &[]));
    }

    /// Queues the goodbye; [`Self::poll_receive`] then goes on until the client's.
    pub(super) fn push_close(&mut self, code: CloseCode) {
        let frame = CloseFrame {
            code: code.code().into(),
            reason: code.reason().into(),
        };
        let mut nothing_read = Stream {
            input: None,
            received: &mut self.received,
            out: &mut self.out,
        };
        // It only fills the queue: whether it gets out shows when that is flushed.
        let _ = self.rules.close(&mut nothing_read, Some(frame));
    }

    /// The next message of the client. Pings are answered by the way: flush after it.
    ///
    /// # Errors
    /// When the client has broken a rule, or is gone.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Received, Error>> {
        let mut stream = Stream {
            input: Some((&mut self.connection, context)),
            received: &mut self.received,
            out: &mut self.out,
        };
        let received = match self.rules.read(&mut stream) {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            received => received,
        };
        if let Ok(message) = &received {
            self.taken += shortest_frame(message.len());
            self.give_back(message);
        }
        Poll::Ready(received)
    }

    /// Gives back the memory of a text with which everything is read that has come. Tungstenite keeps room for the
    /// longest, and most clients say nothing after their first requests.
    fn give_back(&mut self, message: &Received) {
        if self.received != self.taken {
            return;
        }
        // Rules that have closed must stay so.
        if matches!(message, Received::Text(_)) && self.rules.can_write() {
            self.rules = client_rules(&[]);
        }
        (self.received, self.taken) = (0, 0);
    }

    /// Writes everything that is queued.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.pieces.is_empty() {
            let connection = Pin::new(&mut self.connection);
            let written = match &self.out.gathered() {
                Some(bytes) => connection.poll_write(context, bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_PIECES];
                    let count = self.out.slices(&mut slices);
                    connection.poll_write_vectored(context, &slices[..count])
                }
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.out.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// [`Self::poll_flush`] as a future.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// [`Self::poll_receive`] as a future.
    pub(super) async fn receive(&mut self) -> Result<Received, Error> {
        poll_fn(|context| self.poll_receive(context)).await
    }
}

/// Bytes that a client's message of so many takes at least. Who has sent no more than that has sent nothing else.
const fn shortest_frame(payload: usize) -> usize {
    let header = match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    header + MASK_BYTES + payload
}

impl Output {
    fn push(&mut self, frame: Bytes) {
        self.pieces.push_back(Piece::Own(frame));
    }

    /// Puts pieces before all others, of which so many bytes are out. Nothing else may have been begun.
    fn begin_with(&mut self, pieces: impl DoubleEndedIterator<Item = Piece>, written: usize) {
        debug_assert_eq!(self.written, 0, "two frames were begun");
        pieces.rev().for_each(|piece| self.pieces.push_front(piece));
        self.advance(written);
    }

    /// The bytes that wait in one piece, where they are one or so few that copying them costs less than the kernel's way
    /// along a list.
    fn gathered(&self) -> Option<Cow<'_, [u8]>> {
        let mut pieces = self.pieces.iter().map(Piece::bytes);
        let first = &pieces.next()?[self.written..];
        if self.pieces.len() == 1 {
            return Some(Cow::Borrowed(first));
        }
        let total = first.len() + pieces.clone().map(<[u8]>::len).sum::<usize>();
        if total > GATHER_BYTES {
            return None;
        }
        let mut all = Vec::with_capacity(total);
        all.extend_from_slice(first);
        pieces.for_each(|piece| all.extend_from_slice(piece));
        Some(Cow::Owned(all))
    }

    /// The bytes that wait, as far as the slices reach; returns how many slices they fill.
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.bytes()[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Takes out what has been written.
    fn advance(&mut self, written: usize) {
        self.written += written;
        while let Some(first) = self.pieces.front() {
            let length = first.bytes().len();
            if self.written < length {
                return;
            }
            self.written -= length;
            self.pieces.pop_front();
        }
        // Sockets that wait hold no memory for what they may write one day.
        self.pieces = VecDeque::new();
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Event(event, encoding) => event.frame(*encoding),
            Self::Own(bytes) => bytes,
        }
    }
}

/// What tungstenite takes for a connection: reads come from the client, writes go into the queue.
struct Stream<'a, 'b> {
    input: Option<(&'a mut Connection, &'a mut Context<'b>)>,
    received: &'a mut usize,
    out: &'a mut Output,
}

impl Read for Stream<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some((connection, context)) = &mut self.input else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut **connection).poll_read(context, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                let read = buffer.filled().len();
                *self.received += read;
                Ok(read)
            }
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Stream<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.push(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::tungstenite::protocol::WebSocket;

    use super::*;
    use crate::entrance::{Entrance, PlaceLimits, Places};

    /// A line, and its client's end.
    async fn pair() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.set_nodelay(true).unwrap();
        let limits = PlaceLimits {
            in_all: 1,
            ..PlaceLimits::default()
        };
        let entrance = Entrance::plain(listener, Places::new(limits, Default::default()));
        let visitor = entrance.next().await.greet().await.unwrap();
        let (connection, _) = Connection::new(visitor, Duration::from_secs(1));
        (Line::new(connection, &[]), client)
    }

    /// All that is queued, read by writes of so many bytes.
    fn drain(mut out: Output, step: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while !out.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = out.slices(&mut slices);
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            let written = step.min(bytes.len());
            read.extend(&bytes[..written]);
            out.advance(written);
        }
        read
    }

    #[test]
    fn frames_come_out_whole_however_writes_cut_them() {
        let frames: Vec<_> = ["one", "", "three", "a fourth", "5"]
            .map(|text| framed(TEXT, text.as_bytes()))
            .into();
        let expected = frames.concat();
        for step in 1..=expected.len() {
            let mut out = Output::default();
            frames.iter().for_each(|frame| out.push(frame.clone()));
            assert_eq!(drain(out, step), expected, "writes of {step}");
        }
    }

    #[test]
    fn a_frame_of_a_client_takes_at_least_so_many_bytes() {
        for (payload, bytes) in [
            (0, 6),
            (125, 131),
            (126, 134),
            (65_535, 65_543),
            (65_536, 65_550),
        ] {
            let wire = Cursor::new(Vec::new());
            let mut client = WebSocket::from_raw_socket(wire, Role::Client, None);
            client.send(Received::text("x".repeat(payload))).unwrap();
            let sent = client.get_ref().get_ref().len();
            assert_eq!((shortest_frame(payload), sent), (bytes, bytes));
        }
    }

    #[tokio::test]
    async fn after_the_goodbye_no_ping_is_answered() {
        let (mut line, mut client) = pair().await;
        line.push_close(CloseCode::Unauthorized);
        line.flush().await.unwrap();
        let wire = Cursor::new(Vec::new());
        let mut sender = WebSocket::from_raw_socket(wire, Role::Client, None);
        for message in [Received::text("{}"), Received::Ping(Bytes::new())] {
            sender.send(message).unwrap();
        }
        let sent = sender.into_inner().into_inner();
        // Each in a read of its own, so that the text is all that has come.
        client.write_all(&sent[..shortest_frame(2)]).await.unwrap();
        assert_eq!(line.receive().await.unwrap(), Received::text("{}"));
        client.write_all(&sent[shortest_frame(2)..]).await.unwrap();
        assert!(matches!(line.receive().await, Ok(Received::Ping(_))));
        // Where an answer waits, the next look queues it.
        client.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
        assert!(matches!(line.receive().await, Ok(Received::Pong(_))));
        assert!(line.is_flushed());
    }

    #[test]
    fn what_was_begun_goes_on_before_what_came_meanwhile() {
        let frames = ["one", "two"].map(|text| framed(TEXT, text.as_bytes()));
        let (begun, ping) = (frames.concat(), framed(PING, &[]));
        for written in 1..begun.len() {
            let mut out = Output::default();
            out.push(ping.clone());
            out.begin_with(frames.iter().cloned().map(Piece::Own), written);
            let expected = [&begun[written..], &ping].concat();
            assert_eq!(drain(out, 3), expected, "{written} bytes were out");
        }
    }
}
