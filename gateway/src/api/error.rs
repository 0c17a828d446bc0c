use std::error::Error;

use ashya_contracts::ChainError;
use ashya_protocol::Offer;
use ashya_protocol::rest::Problem;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode, Uri};

use crate::auth::AuthError;
use crate::auth::nonces::NonceError;
use crate::auth::rates::TooMany;
use crate::auth::sessions::OpenError;
use crate::auth::siwe::SiweError;
use crate::chained::Chained;
use crate::registry::RegistryError;
use crate::store::StoreError;

/// What a request gets when it is not served: a status, a stable code, and words (RFC 9457).
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    offer: Option<Box<Offer>>,
    /// Seconds after which to ask again.
    retry_after: Option<u64>,
}

impl HttpError {
    /// An error with a stable `code` for machines and a `detail` that says what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            offer: None,
            retry_after: None,
        }
    }

    /// 400: the request breaks a rule that no retry mends.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: sign in first.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 402: pay first, and how.
    pub fn payment_required(offer: Offer) -> Self {
        Self {
            offer: Some(Box::new(offer)),
            ..Self::new(
                StatusCode::PAYMENT_REQUIRED,
                "payment-required",
                "subscribe to this feed on the ledger first, as the offer says",
            )
        }
    }

    /// 403: signed in, but somebody else may do this.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: the request does not fit what is there.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 429: too often; ask again after so many seconds.
    pub fn too_many(code: &'static str, detail: impl Into<String>, retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
        }
    }

    /// 503: the gateway has no current view of the chain.
    pub fn chain_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "chain-unavailable",
            "the gateway has no current view of the chain: try again",
        )
    }

    /// 500: our fault. The cause goes to the log and nowhere else.
    pub fn internal(cause: &dyn Error) -> Self {
        tracing::error!(error = %Chained(cause), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the gateway failed: its log says why",
        )
    }
}

/// The problem that an answer shows, for whoever knows more about it.
#[derive(Debug, Clone)]
pub(super) struct Shown(pub(super) Problem);

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let problem = Problem {
            kind: "about:blank".into(),
            title: title.into(),
            status: self.status.as_u16(),
            code: self.code.into(),
            detail: self.detail,
            offer: self.offer.map(|offer| *offer),
            request_id: None,
        };
        let mut response = (self.status, axum::Json(&problem)).into_response();
        response.extensions_mut().insert(Shown(problem));
        let headers = response.headers_mut();
        let problem_json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, problem_json);
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // Nothing can come behind a body that nobody reads (RFC 9110, section 15.5.14).
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        match error {
            // A socket ends when it ends: the minute is a guess.
            AuthError::TooManySockets => Self::too_many("too-many-sockets", error.to_string(), 60),
            _ => Self::unauthorized(format!("{error}: sign in again")),
        }
    }
}

impl From<OpenError> for HttpError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Auth(error) => error.into(),
            OpenError::Store(error) => error.into(),
        }
    }
}

impl From<TooMany> for HttpError {
    fn from(error: TooMany) -> Self {
        Self::too_many("rate-limited", error.to_string(), error.retry_after())
    }
}

impl From<SiweError> for HttpError {
    fn from(error: SiweError) -> Self {
        let detail = error.to_string();
        match error {
            SiweError::Malformed(_) | SiweError::Version => {
                Self::bad_request("siwe-malformed", detail)
            }
            SiweError::Domain { .. } | SiweError::Uri => Self::forbidden("siwe-domain", detail),
            SiweError::Chain { .. } => Self::forbidden("siwe-chain", detail),
            SiweError::NotYet | SiweError::Expired => Self::forbidden("siwe-time", detail),
        }
    }
}

impl From<NonceError> for HttpError {
    fn from(error: NonceError) -> Self {
        let detail = format!("{error}: ask for a new one");
        match &error {
            NonceError::Invalid => Self::forbidden("nonce-invalid", detail),
            NonceError::Expired => Self::forbidden("nonce-expired", detail),
            NonceError::Used => Self::forbidden("nonce-used", detail),
            NonceError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many sign-ins in the last minutes: try again later",
            ),
            NonceError::Store(_) | NonceError::Random(_) => Self::internal(&error),
        }
    }
}

impl From<RegistryError> for HttpError {
    fn from(error: RegistryError) -> Self {
        let detail = error.to_string();
        match &error {
            RegistryError::Limit(_) => Self::bad_request("registration-invalid", detail),
            RegistryError::Signature(_) => Self::forbidden("signature-invalid", detail),
            RegistryError::Revision { .. } => Self::conflict("revision-old", detail),
            RegistryError::Full(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "registry-full", detail)
            }
            RegistryError::NotListed => Self::forbidden("not-listed", detail),
            RegistryError::Blocked(_) => Self::forbidden("device-blocked", detail),
            RegistryError::Unknown(_) => Self::not_found("device-unknown", detail),
            RegistryError::Store(_) => Self::internal(&error),
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<ChainError> for HttpError {
    fn from(error: ChainError) -> Self {
        tracing::warn!(error = %Chained(&error), "the chain could not be asked");
        Self::chain_unavailable()
    }
}

/// Answers a path that is not there.
pub(super) async fn not_found(uri: Uri) -> HttpError {
    HttpError::not_found("route-unknown", format!("there is no {}", uri.path()))
}

/// Answers a method that a path does not have.
pub(super) async fn method_not_allowed() -> HttpError {
    HttpError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path does not have that method",
    )
}
