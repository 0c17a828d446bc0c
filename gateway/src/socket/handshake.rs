//! The opening handshake (RFC 6455, section 4.2), as tungstenite checks it, and what becomes of the connection.
//!
//! No extension is offered, permessage-deflate neither: pictures are compressed already, a window of 32 kB a socket
//! would cost more than all the rest of a socket, and one encoded frame could no longer be shared.

use std::sync::Arc;

use ashya_protocol::ws::{SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON};
use axum::extract::{Request, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::Instrument;

use super::SocketParts;
use super::actor::Socket;
use super::line::Line;
use crate::api::HttpError;
use crate::connection::Connection;
use crate::hub::Encoding;

pub(super) async fn upgrade(
    State(parts): State<Arc<SocketParts>>,
    mut request: Request,
) -> Response {
    if !is_allowed(request.headers(), &parts.policy.origins) {
        let detail = "pages of this origin may not open sockets here";
        return HttpError::forbidden("origin-forbidden", detail).into_response();
    }
    let Ok(encoding) = choose(request.headers()) else {
        let detail = "this socket speaks ashya.v1 and ashya.v1.json";
        return HttpError::bad_request("subprotocol-unknown", detail).into_response();
    };
    let mut response = match create_response_with_body(&request, axum::body::Body::empty) {
        Ok(response) => response,
        Err(error) => return refusal(&error),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        let detail = "this connection cannot become a websocket";
        return HttpError::bad_request("not-a-websocket", detail).into_response();
    };
    if let Some((name, _)) = encoding {
        let name = HeaderValue::from_static(name);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    let encoding = encoding.map_or(Encoding::Json, |(_, encoding)| encoding);
    let tasks = parts.tasks.clone();
    let span = tracing::debug_span!("websocket", wallet = tracing::field::Empty);
    let serving = async move {
        let line = match upgrade.await {
            Ok(upgraded) => line_of(upgraded),
            // Clients come and go as they like.
            Err(_) => None,
        };
        if let Some(line) = line {
            Socket::new(parts, line, encoding).run().await;
        }
    };
    tasks.spawn(serving.instrument(span));
    response
}

/// Tells a client of another version which one is spoken here (RFC 6455, section 4.4), any other what is wrong.
fn refusal(error: &Error) -> Response {
    if !matches!(
        error,
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader)
    ) {
        return HttpError::bad_request("not-a-websocket", error.to_string()).into_response();
    }
    let detail = "this socket speaks version 13 of the websocket protocol";
    let error = HttpError::new(StatusCode::UPGRADE_REQUIRED, "websocket-version", detail);
    let version = (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    (AppendHeaders([version]), error).into_response()
}

/// The bare connection: hyper has nothing more to do with it.
fn line_of(upgraded: Upgraded) -> Option<Box<Line>> {
    let parts = upgraded.downcast::<TokioIo<Connection>>().ok()?;
    let line = Line::new(parts.io.into_inner(), &parts.read_buf);
    Some(Box::new(line))
}

/// The client asks for subprotocols that the gateway does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unspoken;

/// The subprotocol among those that the client asks for, the first that is known; none is JSON without a name.
fn choose(headers: &HeaderMap) -> Result<Option<(&'static str, Encoding)>, Unspoken> {
    let asked: Vec<&str> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let known = [
        (SUBPROTOCOL_BINARY, Encoding::Binary),
        (SUBPROTOCOL_JSON, Encoding::Json),
    ];
    let chosen = known.into_iter().find(|(name, _)| asked.contains(name));
    chosen.map(Some).ok_or(Unspoken)
}

/// Whether a page of this origin may open a socket. Programs have no origin, the gateway's own page has the host that
/// it asks for, and any page may while no origins are configured: tokens are no cookies, a page has to bring its own.
fn is_allowed(headers: &HeaderMap, allowed: &[HeaderValue]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let is_own = || {
        let host = headers.get(HOST)?.as_bytes();
        let origin = origin.as_bytes();
        let rest = origin
            .strip_prefix(b"https://")
            .or(origin.strip_prefix(b"http://"))?;
        Some(rest == host)
    };
    allowed.is_empty() || allowed.contains(origin) || is_own().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_a_subprotocol() {
        let binary = Ok(Some((SUBPROTOCOL_BINARY, Encoding::Binary)));
        let json = Ok(Some((SUBPROTOCOL_JSON, Encoding::Json)));
        for (asked, chosen) in [
            (&[][..], Ok(None)),
            (&["ashya.v1"], binary),
            (&["ashya.v1.json"], json),
            (&["other, ashya.v1.json"], json),
            (&["ashya.v1.json,ashya.v1"], binary),
            (&["other", "ashya.v1"], binary),
            (&["other"], Err(Unspoken)),
            (&[""], Err(Unspoken)),
        ] {
            let mut headers = HeaderMap::new();
            for value in asked {
                headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
            }
            assert_eq!(choose(&headers), chosen, "{asked:?}");
        }
    }

    #[test]
    fn every_origin() {
        let shop = [HeaderValue::from_static("https://shop.example")];
        for (origin, allowed, expected) in [
            (None, &shop[..], true),
            (Some("https://shop.example"), &shop, true),
            (Some("https://shop.example.evil"), &shop, false),
            (Some("https://gate.example:8443"), &shop, true),
            (Some("http://gate.example:8443"), &shop, true),
            (Some("https://gate.example"), &shop, false),
            (Some("null"), &shop, false),
            (Some("https://other.example"), &shop, false),
            (Some("https://other.example"), &[], true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("gate.example:8443"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_allowed(&headers, allowed), expected, "{origin:?}");
        }
    }
}
