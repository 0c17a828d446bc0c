//! Reads that a client has already (RFC 9110, section 13).

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};

use super::HttpError;

/// Longest answer: the largest page.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the hash in a tag.
const TAG_BYTES: usize = 16;

/// Tags the JSON answers of reads, and sends none that the client names as its own.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK || !is_json(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match axum::body::to_bytes(body, MAX_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => return HttpError::internal(&error).into_response(),
    };
    let tag = tag_of(&bytes);
    // Kept by a client, asked for again each time. Answers may be for one wallet alone.
    let caching = HeaderValue::from_static("private, no-cache");
    parts.headers.insert(CACHE_CONTROL, caching);
    let fresh = known.is_some_and(|known| names(&known, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, tag);
    }
    if fresh {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/json")
}

/// Weak, since the same answer may go out compressed or not.
fn tag_of(bytes: &Bytes) -> String {
    format!("W/\"{}\"", hex::encode(&Sha256::digest(bytes)[..TAG_BYTES]))
}

/// Whether `If-None-Match` names a tag; tags are compared weakly.
fn names(header: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let listed = header.to_str().unwrap_or_default();
    listed.trim() == "*" || listed.split(',').any(|known| opaque(known) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_named_by_itself_among_others_or_by_a_star() {
        let tag = tag_of(&Bytes::from_static(b"{}"));
        let strong = tag.trim_start_matches("W/").to_owned();
        for (header, expected) in [
            (tag.clone(), true),
            (strong.clone(), true),
            (format!("\"a\", {tag}"), true),
            ("*".into(), true),
            (String::new(), false),
            ("\"a\"".into(), false),
            (strong.trim_matches('"').into(), false),
        ] {
            let value = HeaderValue::from_str(&header).unwrap();
            assert_eq!(names(&value, &tag), expected, "{header}");
        }
    }
}
