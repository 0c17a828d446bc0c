use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::StatusCode;
use serde_json::Value;
use url::{Host, Url};

use super::{Answer, CONNECT_TIMEOUT, REQUEST_TIMEOUT, TransportError, request};

/// An endpoint that answers over HTTP, on connections that stay open.
#[derive(Debug)]
pub(super) struct HttpEndpoint {
    url: Url,
    client: reqwest::Client,
    next_id: AtomicU64,
}

impl HttpEndpoint {
    pub(super) fn new(url: Url) -> Result<Self, TransportError> {
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

    pub(super) fn is_on_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub(super) async fn call(&self, method: &str, params: &Value) -> Result<Value, TransportError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let sent = self
            .client
            .post(self.url.clone())
            .json(&request(id, method, params))
            .send();
        let response = sent.await.map_err(or_timeout)?;
        // Some nodes send JSON-RPC errors with an HTTP error status, so the body is read first.
        let status = response.error_for_status_ref().map(|_| ());
        let body = response.bytes().await.map_err(or_timeout)?;
        let answer: Answer = match (serde_json::from_slice(&body), status) {
            (Ok(answer), _) => answer,
            (Err(_), Err(error)) if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) => {
                return Err(TransportError::TooLarge);
            }
            (Err(_), Err(status)) => return Err(status.into()),
            (Err(error), Ok(())) => return Err(error.into()),
        };
        answer.into_result()
    }
}

fn or_timeout(error: reqwest::Error) -> TransportError {
    if error.is_timeout() && !error.is_connect() {
        TransportError::TimedOut
    } else {
        error.into()
    }
}

/// reqwest keeps the reason, such as a refused connection, in its sources. The address stays out, because the key of
/// a node's provider is often a part of it.
pub(super) fn with_sources(error: &reqwest::Error) -> String {
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
