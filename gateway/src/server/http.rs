//! HTTP/1.1 over TCP, with the limits that `axum::serve` does not have.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Tcp;
use crate::auth::client::Peer;

/// Pause after a failed accept: the process is out of file descriptors, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener's clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpLimits {
    /// Time for a request's head to come, from the connection's beginning or the answer before.
    pub(crate) head_timeout: Duration,
    /// Open connections, those that became websockets included; more wait in the kernel.
    pub(crate) max_connections: usize,
}

/// Serves `routes` until `shutdown`; then no more requests are taken, and those that run are served to their end.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: HttpLimits,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok(connection) => {
                let (routes, shutdown) = (routes.clone(), shutdown.clone());
                tasks.spawn(converse(connection, routes, limits, shutdown));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Connection> {
    let place = places.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Without it small answers wait for the peer's delayed acknowledgements. Failing is harmless.
    let _ = stream.set_nodelay(true);
    Ok(Connection {
        stream: Tcp::new(stream),
        peer: Peer(peer.ip()),
        _place: place,
    })
}

async fn converse(
    connection: Connection,
    routes: Router,
    limits: HttpLimits,
    shutdown: CancellationToken,
) {
    let peer = connection.peer;
    let service = routes.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout);
    let conversation = http
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(conversation);
    let ended = tokio::select! {
        ended = &mut conversation => ended,
        () = shutdown.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        // Clients come and go as they like.
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// A TCP connection that holds its place among all of them, whatever it becomes.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Tcp,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// The connection for whoever writes to it beside its owner.
    pub(crate) fn tcp(&self) -> Option<Tcp> {
        Some(self.stream.clone())
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ws::WebSocketUpgrade;
    use axum::routing::{any, get};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const HEAD_TIMEOUT: Duration = Duration::from_millis(300);

    async fn server(max_connections: usize) -> (SocketAddr, CancellationToken, TaskTracker) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(async || "here")).route(
            "/ws",
            any(async |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
            }),
        );
        let limits = HttpLimits {
            head_timeout: HEAD_TIMEOUT,
            max_connections,
        };
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve(listener, routes, limits, shutdown.clone()));
        tasks.close();
        (address, shutdown, tasks)
    }

    async fn connect(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = vec![0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
        let length = read.expect("no answer").unwrap_or(0);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let (address, ..) = server(10).await;
        for beginning in [
            "",
            "GET / HTTP/1.1\r\nHost: a\r\nX: ",
            "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgr",
        ] {
            let mut stream = connect(address, beginning).await;
            let said = answer(&mut stream).await;
            assert!(!said.contains("200 OK"), "{beginning:?}: {said}");
        }
        let mut idle = connect(address, REQUEST).await;
        assert!(answer(&mut idle).await.contains("200 OK"));
        assert_eq!(answer(&mut idle).await, "", "an idle connection stays open");
    }

    #[tokio::test]
    async fn connections_are_counted_websockets_too() {
        let (address, ..) = server(1).await;
        let mut socket = connect(address, UPGRADE).await;
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 101"));
        let mut waiting = connect(address, REQUEST).await;
        // Longer than a head may take: a websocket is no longer bound by that.
        let early = timeout(3 * HEAD_TIMEOUT, waiting.read(&mut [0; 16])).await;
        assert!(early.is_err(), "served beside the one connection allowed");
        drop(socket);
        assert!(answer(&mut waiting).await.contains("200 OK"));
    }

    #[tokio::test]
    async fn a_shutdown_ends_idle_connections_at_once() {
        let (address, shutdown, tasks) = server(10).await;
        let mut idle = connect(address, REQUEST).await;
        assert!(answer(&mut idle).await.contains("200 OK"));
        shutdown.cancel();
        timeout(PATIENCE, tasks.wait()).await.expect("hangs");
        assert_eq!(answer(&mut idle).await, "");
    }
}
