//! The way from an event stream's task into its HTTP answer, one piece at a time.
//!
//! hyper takes from a body what it can hold, some 400 kB, and nobody can take that back or learn when it was sent. So
//! it gets one [`Piece`] and the next one only when it has let go of the first, which it does once the kernel has all
//! of it (on a connection that writes vectored, as TCP does; else hyper copies). It then always has room and asks the [`Pipe`] whenever it wakes, before it writes; an error from the pipe
//! makes it drop the connection with everything that it holds.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::Stream;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::socket::Deadline;

/// Most bytes that hyper is given at once: well under what it can hold.
const PIECE_BYTES: usize = 64 * 1024;

/// The task's end.
pub(super) struct Writer {
    // Before `pieces`, since fields are dropped in order: a pipe that ends must find out first that it was cut.
    cut: DropGuard,
    pieces: mpsc::Sender<Piece>,
    /// Whether a write has not ended.
    busy: bool,
}

/// hyper's end: the body of the answer.
pub(super) struct Pipe {
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    pieces: mpsc::Receiver<Piece>,
    handed: Option<(Weak<()>, Deadline)>,
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the reader is gone")]
pub(super) struct Gone;

/// The connection is given up in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the reader was too slow for what it may see")]
pub(super) struct Cut;

struct Piece {
    bytes: Bytes,
    deadline: Deadline,
    /// Never sent on: dropped with the piece.
    taken: oneshot::Sender<Infallible>,
}

/// A piece while hyper holds it.
struct Handed {
    bytes: Bytes,
    _taken: oneshot::Sender<Infallible>,
    _alive: Arc<()>,
}

pub(super) fn pipe() -> (Writer, Pipe) {
    let (sender, receiver) = mpsc::channel(1);
    let cut = CancellationToken::new();
    let pipe = Pipe {
        cut: Box::pin(cut.clone().cancelled_owned()),
        pieces: receiver,
        handed: None,
    };
    let writer = Writer {
        cut: cut.drop_guard(),
        pieces: sender,
        busy: false,
    };
    (writer, pipe)
}

impl Writer {
    /// Writes bytes, of which nothing goes out at or after the deadline; done when the kernel has all of them. Whoever
    /// drops this future before its end has to drop the writer too.
    pub(super) async fn write(&mut self, mut bytes: Bytes, deadline: Deadline) -> Result<(), Gone> {
        self.busy = true;
        while !bytes.is_empty() {
            let (taken, let_go) = oneshot::channel();
            let piece = Piece {
                bytes: bytes.split_to(bytes.len().min(PIECE_BYTES)),
                deadline: deadline.clone(),
                taken,
            };
            self.pieces.send(piece).await.map_err(|_| Gone)?;
            let Err(_) = let_go.await;
        }
        if self.pieces.is_closed() {
            return Err(Gone);
        }
        self.busy = false;
        Ok(())
    }

    /// Whether a write has begun and was given up: only [`Self::finish`] is left.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Waits until the reader is gone.
    pub(super) async fn gone(&self) {
        self.pieces.closed().await;
    }

    /// Ends the answer in order, or cuts it within a write.
    pub(super) fn finish(self) {
        if !self.busy {
            self.cut.disarm();
        }
    }
}

impl Pipe {
    fn is_overdue(&self) -> bool {
        let handed = self.handed.as_ref();
        handed.is_some_and(|(alive, deadline)| alive.strong_count() > 0 && deadline.has_passed())
    }
}

impl Stream for Pipe {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let is_cut = self.cut.as_mut().poll(context).is_ready();
        if is_cut || self.is_overdue() {
            return Poll::Ready(Some(Err(Cut)));
        }
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else {
            return Poll::Ready(None);
        };
        if piece.deadline.has_passed() {
            return Poll::Ready(Some(Err(Cut)));
        }
        let alive = Arc::new(());
        self.handed = Some((Arc::downgrade(&alive), piece.deadline));
        Poll::Ready(Some(Ok(Bytes::from_owner(Handed {
            bytes: piece.bytes,
            _taken: piece.taken,
            _alive: alive,
        }))))
    }
}

impl AsRef<[u8]> for Handed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
