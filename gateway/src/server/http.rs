//! HTTP/1.1 by hyper, with the limits that `axum::serve` does not have.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::auth::client::Peer;
use crate::connection::Connection;
use crate::entrance::{Entrance, Guest};

/// Largest head of a request: a token and a browser's cookies. Beyond hyper answers 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long a client of a listener may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpLimits {
    /// Time for a request's head to come, from the connection's beginning or the answer before.
    pub(crate) head_timeout: Duration,
    /// Time in which a client takes nothing of an ordinary answer.
    pub(crate) write_timeout: Duration,
}

/// When a listener ends, and when its connections do.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// No more connections are taken. Those that are there end with the answer to their next request.
    pub(crate) accepting: CancellationToken,
    /// No more requests are taken, and those that run are served to their end.
    pub(crate) serving: CancellationToken,
}

impl From<CancellationToken> for Ends {
    /// Both at once.
    fn from(end: CancellationToken) -> Self {
        Self {
            accepting: end.clone(),
            serving: end,
        }
    }
}

/// Serves `routes` until the end.
pub(crate) async fn serve(entrance: Entrance, routes: Router, limits: HttpLimits, ends: Ends) {
    let tasks = TaskTracker::new();
    loop {
        let guest = tokio::select! {
            () = ends.accepting.cancelled() => break,
            guest = entrance.next() => guest,
        };
        tasks.spawn(converse(guest, routes.clone(), limits, ends.clone()));
    }
    drop(entrance);
    tasks.close();
    tasks.wait().await;
}

async fn converse(guest: Guest, routes: Router, limits: HttpLimits, ends: Ends) {
    let greeted = tokio::select! {
        () = ends.accepting.cancelled() => return,
        greeted = guest.greet() => greeted,
    };
    let visitor = match greeted {
        Ok(visitor) => visitor,
        Err(error) => {
            tracing::debug!(%error, "no TLS connection");
            return;
        }
    };
    let peer = Peer(visitor.peer.ip());
    let serving = ends.serving.clone();
    let (connection, patience) = Connection::new(visitor, limits.write_timeout);
    let service = routes
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.map(Body::new)
        })
        .map_response(move |mut response: Response<Body>| {
            if has_its_own_patience(&response) {
                patience.leave_to_the_writer();
            } else {
                patience.limit();
                if ends.accepting.is_cancelled() {
                    let headers = response.headers_mut();
                    headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
            }
            response
        });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(MAX_HEAD_BYTES);
    // Boxed: pinned here, this task would keep room for it twice.
    let mut conversation = Box::pin(
        http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service))
            .with_upgrades(),
    );
    let ended = tokio::select! {
        ended = &mut conversation => ended,
        () = serving.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        // Clients come and go as they like.
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Websockets and event streams wait for as long as what they write may be seen.
fn has_its_own_patience(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ws::WebSocketUpgrade;
    use axum::routing::{any, get};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::entrance::{PlaceLimits, Places};

    const PATIENCE: Duration = Duration::from_secs(10);
    const HEAD_TIMEOUT: Duration = Duration::from_millis(300);
    const WRITE_TIMEOUT: Duration = Duration::from_millis(300);

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
            write_timeout: WRITE_TIMEOUT,
        };
        let places = PlaceLimits {
            in_all: max_connections,
            ..PlaceLimits::default()
        };
        let entrance = Entrance::plain(listener, Places::new(places, Default::default()));
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve(entrance, routes, limits, shutdown.clone().into()));
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
    async fn a_head_that_is_too_large_is_refused() {
        let (address, ..) = server(10).await;
        let head = |bytes: usize| {
            let (start, end) = ("GET / HTTP/1.1\r\nHost: a\r\nCookie: ", "\r\n\r\n");
            [start, &"x".repeat(bytes - start.len() - end.len()), end].concat()
        };
        for (bytes, status) in [
            (MAX_HEAD_BYTES, "200 OK"),
            (MAX_HEAD_BYTES + 1, "431 Request Header Fields Too Large"),
        ] {
            let mut stream = connect(address, &head(bytes)).await;
            let said = answer(&mut stream).await;
            assert!(said.contains(status), "{bytes} bytes: {said}");
        }
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
