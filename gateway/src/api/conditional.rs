//! Reads that a client has already, and changes of what it has read (RFC 9110, section 13).

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::HttpError;

/// Longest answer: the largest page.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the hash in a tag.
const TAG_BYTES: usize = 16;

/// Longest answer with a strong tag; it goes out as it is. A device or a listing is shorter.
const STRONG_BYTES: usize = 20 * 1024;

/// Whether an answer may be compressed: a strong tag stands for the very bytes.
pub(super) fn may_be_compressed(
    _: StatusCode,
    _: Version,
    headers: &HeaderMap,
    _: &Extensions,
) -> bool {
    let tag = headers.get(ETAG);
    tag.is_none_or(|tag| tag.as_bytes().starts_with(b"W/"))
}

/// `If-Match` of a request that changes something.
#[derive(Debug, Clone)]
pub(super) struct IfMatch(Option<HeaderValue>);

impl IfMatch {
    /// Refuses when the client has read something else than what is there, where it says what it has read.
    pub(super) fn check(&self, there: Option<&impl Serialize>) -> Result<(), HttpError> {
        let Some(header) = &self.0 else { return Ok(()) };
        let there = there.map(serde_json::to_vec).transpose();
        let there = there.map_err(|error| HttpError::internal(&error))?;
        matches(header, there.as_deref())
    }

    /// [`Self::check`] for what is served as these very bytes.
    pub(super) fn check_bytes(&self, there: Option<&[u8]>) -> Result<(), HttpError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |header| matches(header, there))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(IF_MATCH).cloned()))
    }
}

fn matches(header: &HeaderValue, there: Option<&[u8]>) -> Result<(), HttpError> {
    let listed = header.to_str().unwrap_or_default();
    // Strong comparison: a weak tag matches nothing.
    let is_there = there.is_some_and(|bytes| {
        let tag = tag_of(bytes);
        let named = || listed.split(',').any(|known| known.trim() == tag);
        listed.trim() == "*" || !tag.starts_with("W/") && named()
    });
    if is_there {
        return Ok(());
    }
    Err(HttpError::new(
        StatusCode::PRECONDITION_FAILED,
        "changed-meanwhile",
        "what is here is not what If-Match names: read it again",
    ))
}

/// Tags the answers of reads, and sends none that the client names as its own.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK || !is_tagged(response.headers()) {
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
    parts.headers.entry(CACHE_CONTROL).or_insert(caching);
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

fn is_tagged(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind == b"application/json" || kind == b"image/jpeg")
}

/// Weak for what is long, since that may go out compressed or not.
fn tag_of(bytes: &[u8]) -> String {
    let weak = if bytes.len() > STRONG_BYTES { "W/" } else { "" };
    format!(
        "{weak}\"{}\"",
        hex::encode(&Sha256::digest(bytes)[..TAG_BYTES])
    )
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
        let tag = tag_of(b"{}");
        let weak = format!("W/{tag}");
        for (header, expected) in [
            (tag.clone(), true),
            (weak, true),
            (format!("\"a\", {tag}"), true),
            ("*".into(), true),
            (String::new(), false),
            ("\"a\"".into(), false),
            (tag.trim_matches('"').into(), false),
        ] {
            let value = HeaderValue::from_str(&header).unwrap();
            assert_eq!(names(&value, &tag), expected, "{header}");
        }
    }

    #[test]
    fn a_change_is_made_to_what_was_read_alone() {
        let (short, long) = (&b"{}"[..], &[b' '; STRONG_BYTES + 1][..]);
        let tag = tag_of(short);
        for (name, header, there, expected) in [
            ("its tag", tag.clone(), Some(short), true),
            ("among others", format!("\"a\" , {tag}"), Some(short), true),
            ("anything", "*".into(), Some(short), true),
            ("anything, of nothing", "*".into(), None, false),
            ("a tag of nothing", tag.clone(), None, false),
            ("another tag", "\"a\"".into(), Some(short), false),
            ("no tag", String::new(), Some(short), false),
            ("weakly", format!("W/{tag}"), Some(short), false),
            (
                "of what has only a weak tag",
                tag_of(long),
                Some(long),
                false,
            ),
        ] {
            let header = HeaderValue::from_str(&header).unwrap();
            assert_eq!(matches(&header, there).is_ok(), expected, "{name}");
        }
    }
}
