//! What the server keeps of each HTTP client, and sockets take over from it.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::entrance::{Place, Stream, Visitor};
use crate::tcp::Tcp;

/// An HTTP client's connection, which holds its place among all of them, whatever it becomes.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    patience: Patience,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

/// Whether a connection waits without end for a client that takes nothing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience(Arc<AtomicBool>);

impl Patience {
    /// What is written has a patience of its own, as websockets and event streams have.
    pub(crate) fn leave_to_the_writer(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// A client that takes nothing for the write time-out is given up.
    pub(crate) fn limit(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_limited(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

impl Connection {
    /// A connection on which a write may stall for so long, and the handle that says otherwise.
    pub(crate) fn new(visitor: Visitor, write_timeout: Duration) -> (Self, Patience) {
        let patience = Patience::default();
        let connection = Self {
            stream: visitor.stream,
            patience: patience.clone(),
            write_timeout,
            stalled: None,
            _place: visitor.place,
        };
        (connection, patience)
    }

    /// The connection for whoever writes to it beside its owner; none by TLS.
    pub(crate) fn tcp(&self) -> Option<Tcp> {
        self.stream.tcp()
    }

    fn poll_in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
        } else if self.patience.is_limited() {
            let limit = self.write_timeout;
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
            let is_over = stalled.as_mut().poll(context);
            return is_over.map(|()| Err(ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_in_time(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_in_time(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.poll_in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
