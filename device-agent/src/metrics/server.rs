use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Metrics;

/// What OpenMetrics is called on the wire.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A scraper and a person at a time are enough; more wait.
const CONNECTIONS: usize = 8;
/// How long one of them may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Rest after a connection that the system could not give us: it has no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long one of them may stay.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A bound listener for metrics, in the clear: they are for the owner's own network.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    listener: TcpListener,
}

/// Why metrics cannot be served.
#[derive(Debug, Error)]
#[error("cannot listen for metrics on {address}; name another by `[metrics] listen`")]
pub struct MetricsError {
    address: SocketAddr,
    source: std::io::Error,
}

impl MetricsServer {
    /// Binds an address.
    ///
    /// # Errors
    /// When it is taken, or not this machine's.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, MetricsError> {
        let failed = |source| MetricsError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        info!("metrics at http://{bound}/metrics");
        Ok(Self { listener })
    }

    /// Answers until `stop`. Every connection ends with it.
    pub(crate) async fn serve(self, metrics: Metrics, stop: CancellationToken) {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_) = open.join_next() => {}
                accepted = self.listener.accept(), if open.len() < CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => drop(open.spawn(connection(stream, metrics.clone()))),
                        Err(error) => {
                            debug!(%error, "no connection for metrics");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, metrics: Metrics) {
    let service = service_fn(|request| {
        let answer = answer(&request, &metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "a scraper is gone"),
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let kind = hyper::header::HeaderValue::from_static(OPEN_METRICS);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            *response.body_mut() = Full::from(metrics.render());
        }
        (_, "/metrics") => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::figures::tests::idle;

    #[tokio::test]
    async fn metrics_are_served_until_the_end() {
        let server = MetricsServer::bind(([127, 0, 0, 1], 0).into())
            .await
            .unwrap();
        let address = server.listener.local_addr().unwrap();
        assert!(MetricsServer::bind(address).await.is_err(), "taken");
        let (metrics, stop) = (Metrics::new(idle()), CancellationToken::new());
        let serving = tokio::spawn(server.serve(metrics, stop.clone()));
        let url = |path: &str| format!("http://{address}{path}");
        let found = reqwest::get(url("/metrics")).await.unwrap();
        assert_eq!(found.headers()["content-type"], OPEN_METRICS);
        assert!(found.text().await.unwrap().ends_with("# EOF\n"));
        assert_eq!(reqwest::get(url("/")).await.unwrap().status(), 404);
        stop.cancel();
        serving.await.unwrap();
        assert!(reqwest::get(url("/metrics")).await.is_err());
    }
}
