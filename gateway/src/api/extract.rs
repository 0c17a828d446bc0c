//! Extractors whose failures are problem documents.

use std::net::Ipv4Addr;

use ashya_protocol::Address;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRef, FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{HttpError, Site};
use crate::auth::client::{Network, Peer};
use crate::auth::rates::{Action, Rates};
use crate::auth::sessions::{SessionClaims, Sessions};

/// A JSON body.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// The last part of the path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

/// The query string.
#[derive(Debug)]
pub(crate) struct Search<T>(pub(crate) T);

/// A signed-in wallet: the session in `Authorization: Bearer …` (RFC 6750). Tokens in the URL are not read.
#[derive(Debug, Clone, Copy)]
pub struct Bearer(pub SessionClaims);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let body = axum::Json::from_request(request, state).await;
        body.map(|axum::Json(body)| Self(body))
            .map_err(|rejection| json_problem(&rejection))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id))
            .map_err(|rejection: PathRejection| {
                HttpError::bad_request("id-malformed", rejection.body_text())
            })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Search<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|rejection: QueryRejection| {
                HttpError::bad_request("query-malformed", rejection.body_text())
            })
    }
}

impl<S> FromRequestParts<S> for Bearer
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let header = parts.headers.get(AUTHORIZATION);
        let token = header
            .and_then(|header| header.to_str().ok())
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                HttpError::unauthorized("send the session token as Authorization: Bearer …")
            })?;
        Ok(Self(Sessions::from_ref(state).verify(token)?))
    }
}

/// The client, whose requests are counted.
#[derive(Debug, Clone)]
pub(super) struct Client {
    network: Network,
    rates: Rates,
}

impl Client {
    /// Counts what it does, before it costs anything.
    pub(super) fn counts(&self, action: Action) -> Result<(), HttpError> {
        Ok(self.rates.count(action, self.network)?)
    }

    /// Counts what it does for a wallet or device that it has proven to be.
    pub(super) fn counts_for(&self, action: Action, address: Address) -> Result<(), HttpError> {
        Ok(self.rates.count_proven(action, address)?)
    }
}

impl<S> FromRequestParts<S> for Client
where
    S: Send + Sync,
    Site: FromRef<S>,
    Rates: FromRef<S>,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let peer = parts.extensions.get::<Peer>();
        // Requests that come by no connection are those of tests, all from one place.
        let peer = peer.map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0);
        let proxies = &Site::from_ref(state).0.proxies;
        Ok(Self {
            network: proxies.client_of(peer, &parts.headers).into(),
            rates: Rates::from_ref(state),
        })
    }
}

fn json_problem(rejection: &JsonRejection) -> HttpError {
    let code = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "content-type",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        _ => "body-malformed",
    };
    let status = match rejection.status() {
        // Well-formed JSON of the wrong shape is as malformed to a caller as broken JSON.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    HttpError::new(status, code, rejection.body_text())
}
