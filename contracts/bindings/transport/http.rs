use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::{Host, Url};

use super::{Answer, CONNECT_TIMEOUT, MAX_ANSWER_BYTES, REQUEST_TIMEOUT, TransportError, request};

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
        let body = body(response).await?;
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

/// The body of an answer, unless it is too large. One that says so beforehand is not read at all.
async fn body(mut response: Response) -> Result<Vec<u8>, TransportError> {
    let too_large = |bytes: u64| bytes > MAX_ANSWER_BYTES as u64;
    if response.content_length().is_some_and(too_large) {
        return Err(TransportError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(or_timeout)? {
        if chunk.len() > MAX_ANSWER_BYTES - body.len() {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A node that answers one request, with so many pieces after its head, and keeps the connection.
    async fn node(head: &'static str, piece: &'static [u8], times: usize) -> HttpEndpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..times {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
            }
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
        });
        HttpEndpoint::new(url.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_taken_up_to_its_limit() {
        const ANSWER: &[u8] = br#"{"result":7}"#;
        // White space, which may stand before any JSON.
        const SPACE: &[u8] = &[b' '; 1 << 16];
        let more_than_all = 2 * MAX_ANSWER_BYTES / SPACE.len();
        let told = "content-length: 134217729";
        for (name, head, piece, times, taken) in [
            ("whole", "content-length: 12", ANSWER, 1, true),
            ("told to be too large", told, SPACE, 0, false),
            (
                "without an end",
                "connection: close",
                SPACE,
                more_than_all,
                false,
            ),
        ] {
            let endpoint = node(head, piece, times).await;
            match endpoint.call("eth_getLogs", &json!([])).await {
                Ok(result) => assert!(taken && result == json!(7), "{name}"),
                Err(TransportError::TooLarge) => assert!(!taken, "{name}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}
