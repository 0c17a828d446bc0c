//! JSON-RPC over HTTP and websockets. The transports of ethers would bring an old TLS library with them.

mod http;
mod ws;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ethers::providers::{JsonRpcClient, JsonRpcError, ProviderError, RpcError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::watch;
use url::Url;

use self::http::HttpEndpoint;
use self::ws::WsEndpoint;
use crate::error::{ChainError, LedgerRefusal};

/// A node that has not answered by then is treated as gone; logs of many blocks take a few seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A node that is there accepts a connection at once, also across an ocean.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Largest answer: 100,000 logs of the ledger are 69 MB.
const MAX_ANSWER_BYTES: usize = 128 << 20;

/// One endpoint or several, of which the one that answered last is asked first.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoints: Vec<Endpoint>,
    current: AtomicUsize,
}

#[derive(Debug)]
enum Endpoint {
    Http(HttpEndpoint),
    Ws(WsEndpoint),
}

#[derive(Debug, Error)]
pub(crate) enum TransportError {
    #[error("{}", http::with_sources(.0))]
    Http(#[from] reqwest::Error),
    #[error("the websocket failed: {0}")]
    Ws(String),
    #[error("the request timed out")]
    TimedOut,
    #[error("the request or its answer is too large")]
    TooLarge,
    #[error("the answer is not what was asked for: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Node(JsonRpcError),
}

/// What a node answers to a request.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<JsonRpcError>,
}

impl Transport {
    /// Names the endpoints. Nothing is sent yet.
    pub(crate) fn new(urls: &[Url]) -> Result<Self, ChainError> {
        let endpoints: Vec<_> = urls.iter().map(Endpoint::new).collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(ChainError::NoEndpoint);
        }
        Ok(Self {
            endpoints,
            current: AtomicUsize::new(0),
        })
    }

    /// Changes with each head that the endpoint tells of by itself.
    pub(crate) fn heads(&self) -> Option<watch::Receiver<u64>> {
        match self.endpoints.as_slice() {
            [Endpoint::Ws(endpoint)] => Some(endpoint.heads()),
            _ => None,
        }
    }

    /// Whether there is one endpoint alone, by HTTP on this machine.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        matches!(self.endpoints.as_slice(), [Endpoint::Http(endpoint)] if endpoint.is_on_this_machine())
    }

    async fn call(&self, method: &str, params: &Value) -> Result<Value, TransportError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failure = None;
        for offset in 0..self.endpoints.len() {
            let at = (first + offset) % self.endpoints.len();
            match self.endpoints[at].call(method, params).await {
                Err(error) if !matches!(error, TransportError::Node(_)) => failure = Some(error),
                answer => {
                    self.current.store(at, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(failure.unwrap_or(TransportError::TimedOut))
    }
}

impl Endpoint {
    fn new(url: &Url) -> Result<Self, ChainError> {
        match url.scheme() {
            "http" | "https" => HttpEndpoint::new(url.clone())
                .map(Self::Http)
                .map_err(|error| ChainError::Transport(Box::new(error))),
            "ws" | "wss" => Ok(Self::Ws(WsEndpoint::new(url.clone()))),
            other => Err(ChainError::Scheme(other.to_owned())),
        }
    }

    async fn call(&self, method: &str, params: &Value) -> Result<Value, TransportError> {
        match self {
            Self::Http(endpoint) => endpoint.call(method, params).await,
            Self::Ws(endpoint) => endpoint.call(method, params).await,
        }
    }
}

#[async_trait]
impl JsonRpcClient for Transport {
    type Error = TransportError;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, TransportError>
    where
        T: fmt::Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        // Where there are no parameters ethers passes `null`; nodes want an array.
        let params = match serde_json::to_value(&params)? {
            Value::Null => json!([]),
            params => params,
        };
        Ok(serde_json::from_value(self.call(method, &params).await?)?)
    }
}

impl ChainError {
    /// The error of a request, with the ledger's reason where there is one.
    pub(crate) fn from_provider(error: ProviderError) -> Self {
        match error.as_error_response() {
            Some(answer) => Self::from_answer(answer),
            None => match error {
                ProviderError::JsonRpcClientError(source) => Self::from_source(&*source),
                other => Self::Transport(Box::new(other)),
            },
        }
    }

    fn from_source(source: &(dyn std::error::Error + 'static)) -> Self {
        match source.downcast_ref() {
            Some(TransportError::TimedOut) => Self::TimedOut,
            Some(TransportError::TooLarge) => Self::TooLarge,
            _ => Self::Transport(source.to_string().into()),
        }
    }

    fn from_answer(answer: &JsonRpcError) -> Self {
        match answer
            .as_revert_data()
            .and_then(|data| LedgerRefusal::decode(&data))
        {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Rpc {
                code: answer.code,
                message: answer.message.clone(),
            },
        }
    }
}

impl Answer {
    fn into_result(self) -> Result<Value, TransportError> {
        match self.error {
            Some(error) => Err(TransportError::Node(error)),
            None => Ok(self.result),
        }
    }
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

impl From<TransportError> for ProviderError {
    fn from(error: TransportError) -> Self {
        Self::JsonRpcClientError(Box::new(error))
    }
}

impl RpcError for TransportError {
    fn as_error_response(&self) -> Option<&JsonRpcError> {
        match self {
            Self::Node(error) => Some(error),
            _ => None,
        }
    }

    fn as_serde_error(&self) -> Option<&serde_json::Error> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}
