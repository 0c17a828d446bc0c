mod connection;

use std::sync::OnceLock;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use url::Url;

use super::{REQUEST_TIMEOUT, TransportError};

/// Requests that may wait for the connection; more wait for a place first.
const MAX_WAITING: usize = 256;

/// An endpoint that answers over one websocket, and tells of new heads by itself.
///
/// The connection is made by the first request and again by the first after it was lost. Its task ends with this value.
#[derive(Debug)]
pub(super) struct WsEndpoint {
    url: Url,
    calls: OnceLock<mpsc::Sender<Call>>,
    heads: watch::Sender<u64>,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Call {
    method: String,
    params: Value,
    answer: oneshot::Sender<Result<Value, TransportError>>,
}

impl WsEndpoint {
    pub(super) fn new(url: Url) -> Self {
        Self {
            url,
            calls: OnceLock::new(),
            heads: watch::Sender::new(0),
        }
    }

    /// Changes with each new head that the node tells of.
    pub(super) fn heads(&self) -> watch::Receiver<u64> {
        self.heads.subscribe()
    }

    pub(super) async fn call(&self, method: &str, params: &Value) -> Result<Value, TransportError> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            method: method.to_owned(),
            params: params.clone(),
            answer,
        };
        let exchange = async {
            let gone = |_| TransportError::Ws("its task has ended".into());
            self.calls().send(call).await.map_err(|_| gone(()))?;
            answered.await.map_err(|_| gone(()))?
        };
        timeout(REQUEST_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(TransportError::TimedOut))
    }

    /// The task behind the connection, which ends when the last sender of its queue is gone.
    fn calls(&self) -> &mpsc::Sender<Call> {
        self.calls.get_or_init(|| {
            let (calls, queue) = mpsc::channel(MAX_WAITING);
            tokio::spawn(connection::serve(
                self.url.clone(),
                queue,
                self.heads.clone(),
            ));
            calls
        })
    }
}
