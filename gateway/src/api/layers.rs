//! What happens to every request and answer.

use std::time::Duration;

use ashya_protocol::limits::MAX_REST_BODY_BYTES;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_MATCH, IF_NONE_MATCH, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::Level;
use url::Url;

use super::error::Shown;
use super::{HttpError, HttpPolicy, conditional};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How far the reader of an event stream is (WHATWG HTML, section 9.2).
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Longest name of a request that is taken from a client.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// Puts the layers around the routes, the first one outermost.
pub(super) fn apply(routes: Router, policy: &HttpPolicy) -> Router {
    let set = SetResponseHeaderLayer::if_not_present;
    let compressed = DefaultPredicate::new().and(conditional::may_be_compressed);
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(name_request))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                // Whoever answers with a 5xx has logged why.
                .on_failure(()),
        )
        .layer(set(
            CONTENT_SECURITY_POLICY,
            content_security(policy.public_rpc.as_ref()),
        ))
        .layer(set(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(set(
            REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ))
        .layer(set(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .option_layer(cors(&policy.cors_origins))
        .layer(CompressionLayer::new().compress_when(compressed))
        .layer(middleware::from_fn(name_problem))
        .layer(middleware::from_fn_with_state(policy.timeout, limit_time))
        .layer(middleware::from_fn(limit_length));
    routes.layer(layers)
}

/// What the page may load and whom it may ask: itself, and the node that it is told.
fn content_security(public_rpc: Option<&Url>) -> HeaderValue {
    let rpc = public_rpc.map_or_else(String::new, |url| {
        format!(" {}", url.origin().ascii_serialization())
    });
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'{rpc}; \
         img-src 'self' blob: data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("an origin is plain ASCII")
}

/// Without origins the page's own is the only one that may ask.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            LAST_EVENT_ID,
            REQUEST_ID,
        ])
        .expose_headers([ETAG, REQUEST_ID, RETRY_AFTER]);
    Some(layer)
}

/// Ends a request that takes too long to its answer's head. Streams and websockets go on after it.
async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "the request took too long: try again",
        )
        .into_response(),
    }
}

/// Refuses a body whose announced length is too large before a byte of it is read.
async fn limit_length(request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH);
    let length = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_REST_BODY_BYTES) {
        return HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("a body may have {MAX_REST_BODY_BYTES} bytes"),
        )
        .into_response();
    }
    next.run(request).await
}

/// The query is left out: it is the caller's, and nobody needs it to find a fault.
fn span(request: &Request) -> tracing::Span {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok());
    tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.path = request.uri().path(),
        http.request_id = id.unwrap_or_default(),
    )
}

/// Gives every request a name, the client's where it brings a plain one, which the answer and the log carry too.
async fn name_request(mut request: Request, next: Next) -> Response {
    let own = request.headers().get(REQUEST_ID).filter(|id| is_plain(id));
    let Some(id) = own.cloned().or_else(random_id) else {
        return next.run(request).await;
    };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Writes the request's name into a problem document.
async fn name_problem(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(Shown(mut problem)) = response.extensions_mut().remove::<Shown>() {
        problem.request_id = id.and_then(|id| id.to_str().ok().map(str::to_owned));
        // A problem always has a JSON form.
        let json = serde_json::to_vec(&problem).unwrap_or_default();
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = json.into();
    }
    response
}

fn is_plain(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(allowed)
}

fn random_id() -> Option<HeaderValue> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    HeaderValue::from_str(&hex::encode(bytes)).ok()
}
