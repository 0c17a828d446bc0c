//! The page, built into the binary.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode, Uri};
use rust_embed::RustEmbed;

use super::error;

// The folder is written by build.rs: the built page, or one that says how to build it.
include!(concat!(env!("OUT_DIR"), "/page.rs"));

const INDEX: &str = "index.html";
/// Vite puts the hash of their content into the names of the files in this folder.
const HASHED: &str = "assets/";

/// Serves a file of the page. A path without an ending is one of the page's own views.
pub(super) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "v1" || path.starts_with("v1/") {
        return error::not_found(uri).await.into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return error::method_not_allowed().await.into_response();
    }
    let is_view = !path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    match Page::get(path) {
        Some(file) => answer(path, file, &headers),
        None if is_view => match Page::get(INDEX) {
            Some(file) => answer(INDEX, file, &headers),
            None => error::not_found(uri).await.into_response(),
        },
        None => error::not_found(uri).await.into_response(),
    }
}

fn answer(path: &str, file: rust_embed::EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let caching = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let fresh = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let cache = [(CACHE_CONTROL, caching.to_owned()), (ETAG, tag)];
    if fresh {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    let kind = [(CONTENT_TYPE, content_type(path))];
    (cache, kind, file.data.into_owned()).into_response()
}

/// Media types of the files that a page is made of.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
