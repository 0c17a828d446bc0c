use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::defaults::TLS_HANDSHAKE_TIMEOUT;
use crate::tcp::Tcp;

/// How long what a client without TLS has on the way is read and thrown away: closing before would reset the connection.
const LINGER: Duration = Duration::from_secs(1);
/// Most of it.
const LINGER_BYTES: u64 = 64 * 1024;

/// A client's bytes, in the clear or by TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As they come.
    Plain(Tcp),
    /// Encrypted. Boxed, since it is large and most deployments leave TLS to a proxy.
    Tls(Box<Sealed>),
}

/// A TLS stream on which *written* means that the kernel has it, as it does without TLS: rustls would keep up to 64 kB
/// more, which could go out after the time until which somebody may see it.
#[derive(Debug)]
pub(crate) struct Sealed {
    tls: TlsStream<TcpStream>,
    /// Bytes that are encrypted and not all with the kernel. Whoever wrote them was told to wait, and comes back with
    /// the same ones.
    sealed: usize,
}

impl Stream {
    /// A stream in the clear.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self::Plain(Tcp::new(stream))
    }

    /// The connection for whoever writes to it beside its owner; none by TLS, whose bytes only its owner can encrypt.
    pub(crate) fn tcp(&self) -> Option<Tcp> {
        match self {
            Self::Plain(stream) => Some(stream.clone()),
            Self::Tls(_) => None,
        }
    }

    /// Waits for the client's part of the TLS handshake.
    ///
    /// # Errors
    /// When the client does not speak TLS, or too slowly.
    pub(super) async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<Self> {
        let shaken = timeout(
            TLS_HANDSHAKE_TIMEOUT,
            acceptor.accept(stream).into_fallible(),
        );
        match shaken.await {
            Ok(Ok(tls)) => Ok(Self::Tls(Box::new(Sealed { tls, sealed: 0 }))),
            Ok(Err((error, stream))) => {
                // Best effort: the client has been told by an alert.
                let _ = timeout(LINGER, say_goodbye(stream)).await;
                Err(error)
            }
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

async fn say_goodbye(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

impl Sealed {
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        send: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.sealed == 0 {
            self.sealed = ready!(send(Pin::new(&mut self.tls), context))?;
        }
        ready!(Pin::new(&mut self.tls).poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.sealed)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut stream.tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => {
                stream.poll_send(context, |tls, context| tls.poll_write(context, bytes))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut stream.tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut stream.tls).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => stream.poll_send(context, |tls, context| {
                tls.poll_write_vectored(context, slices)
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.tls.is_write_vectored(),
        }
    }
}
