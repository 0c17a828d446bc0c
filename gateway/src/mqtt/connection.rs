use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{Incoming, Outgoing, Wire, WireError};

/// Bytes read at a time: about one picture in a few reads.
const READ_BYTES: usize = 32 * 1024;
/// A client that does not take what we send for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a packet to arrive: the largest needs 18 kB a second. Whoever sends slower still only holds memory.
const PACKET_TIMEOUT: Duration = Duration::from_secs(120);

/// Packets over a byte stream.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    wire: Wire,
    output: BytesMut,
    heard: Instant,
    /// When the packet that is arriving began to.
    begun: Option<Instant>,
}

/// Why a connection is over.
#[derive(Debug, Error)]
pub(super) enum ConnectionError {
    #[error("the network failed")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(stream: S, max_packet_bytes: u32) -> Self {
        Self {
            stream,
            wire: Wire::new(max_packet_bytes),
            output: BytesMut::new(),
            heard: Instant::now(),
            begun: None,
        }
    }

    pub(super) fn raise_limit(&mut self, max_packet_bytes: u32) {
        self.wire.raise_limit(max_packet_bytes);
    }

    /// When the last byte came.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Counts the peer as heard now, and what is arriving as begun now.
    pub(super) fn excuse_silence(&mut self) {
        self.heard = Instant::now();
        self.begun = None;
    }

    /// The next packet; `None` when the peer has closed. Safe to drop while it waits.
    pub(super) async fn read(&mut self) -> Result<Option<Incoming>, ConnectionError> {
        loop {
            if let Some(packet) = self.wire.next_packet()? {
                self.begun = None;
                return Ok(Some(packet));
            }
            let received = if self.wire.is_within_packet() {
                let begun = *self.begun.get_or_insert_with(Instant::now);
                let received = timeout_at(begun + PACKET_TIMEOUT, self.receive()).await;
                received.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
            } else {
                self.receive().await?
            };
            if received == 0 {
                return Ok(None);
            }
            self.heard = Instant::now();
        }
    }

    /// Gives the codec what has come, and says how many bytes. The buffer is the thread's: a client that is waited for
    /// has none.
    async fn receive(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
            let mut input = ReadBuf::uninit(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut input))?;
            self.wire.feed(input.filled());
            Poll::Ready(Ok(input.filled().len()))
        })
        .await
    }

    /// Puts a packet with those that go out at the next [`Self::flush`].
    pub(super) fn queue(&mut self, packet: Outgoing) -> Result<(), ConnectionError> {
        Ok(self.wire.encode(packet, &mut self.output)?)
    }

    /// Sends what was queued.
    pub(super) async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let sent = timeout(WRITE_TIMEOUT, self.stream.write_all(&self.output)).await;
        self.output.clear();
        sent.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(())
    }

    pub(super) async fn write(&mut self, packet: Outgoing) -> Result<(), ConnectionError> {
        self.queue(packet)?;
        self.flush().await
    }

    /// Says goodbye on the byte stream.
    pub(super) async fn close(&mut self) {
        // The peer may be gone already.
        let _ = timeout(WRITE_TIMEOUT, self.stream.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_packet_that_drips_is_given_up_and_a_silent_client_is_not() {
        let (mut client, server) = tokio::io::duplex(1024);
        let mut connection = Connection::new(server, 1_000_000);
        let connect = [
            &[0x10, 13, 0, 4][..],
            b"MQTT",
            &[4, 2, 0, 60],
            &[0, 1, b'a'],
        ];
        client.write_all(&connect.concat()).await.unwrap();
        let first = connection.read().await;
        assert!(matches!(first, Ok(Some(Incoming::Connect(_)))), "{first:?}");
        let silence = timeout(10 * PACKET_TIMEOUT, connection.read()).await;
        assert!(silence.is_err(), "silence is the session's matter");
        let dripping = async {
            client.write_all(&[0x30, 0xff, 0x7f]).await.unwrap();
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(b"\0").await.unwrap();
            }
        };
        let began = Instant::now();
        let given_up = tokio::select! {
            read = connection.read() => read,
            () = dripping => unreachable!(),
        };
        assert!(
            matches!(given_up, Err(ConnectionError::Io(_))),
            "{given_up:?}"
        );
        assert_eq!(began.elapsed().as_secs(), PACKET_TIMEOUT.as_secs());
    }
}
