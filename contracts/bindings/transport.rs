//! JSON-RPC over reqwest. The transport of ethers would bring an old TLS library with it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ethers::providers::{JsonRpcClient, JsonRpcError, ProviderError, RpcError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

/// A node that has not answered by then is treated as gone; logs of many blocks take a few seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A node that is there accepts a connection at once, also across an ocean.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(crate) struct HttpTransport {
    url: Url,
    client: reqwest::Client,
    next_id: AtomicU64,
}

#[derive(Debug, Error)]
pub(crate) enum TransportError {
    #[error("{}", with_sources(.0))]
    Http(#[from] reqwest::Error),
    #[error("the answer is not what was asked for: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Node(JsonRpcError),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<JsonRpcError>,
}

impl HttpTransport {
    pub(crate) fn new(url: Url) -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self {
            url,
            client,
            next_id: AtomicU64::new(1),
        })
    }
}

#[async_trait]
impl JsonRpcClient for HttpTransport {
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
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self
            .client
            .post(self.url.clone())
            .json(&request)
            .send()
            .await?;
        // Some nodes send JSON-RPC errors with an HTTP error status, so the body is read first.
        let status = response.error_for_status_ref().map(|_| ());
        let body = response.bytes().await?;
        let answer: Answer = match (serde_json::from_slice(&body), status) {
            (Ok(answer), _) => answer,
            (Err(_), Err(status)) => return Err(status.into()),
            (Err(error), Ok(())) => return Err(error.into()),
        };
        match answer.error {
            Some(error) => Err(TransportError::Node(error)),
            None => Ok(serde_json::from_value(answer.result)?),
        }
    }
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

/// reqwest keeps the reason, such as a refused connection, in its sources. The address stays out, because the key of
/// a node's provider is often a part of it.
fn with_sources(error: &reqwest::Error) -> String {
    let mut text = match error {
        error if error.is_timeout() => "the request timed out".to_owned(),
        error if error.is_connect() => "the connection failed".to_owned(),
        error => match error.status() {
            Some(status) => format!("HTTP status {status}"),
            None => "the request failed".to_owned(),
        },
    };
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
