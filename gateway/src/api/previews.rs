use ashya_protocol::rest::{PREVIEW_DELAY_SECONDS, PreviewSetting};
use ashya_protocol::{FeedId, StreamName};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::time::Instant;

use super::HttpError;
use super::extract::{Bearer, Id, JsonBody};
use super::feeds::unknown;
use crate::auth::sessions::SessionClaims;
use crate::chain_clock::ChainClock;
use crate::ledger_index::{FeedView, LedgerIndex};
use crate::previews::{Previews, Shown};
use crate::registry::Registry;

/// Whoever keeps a still asks each time whether it may still be shown: what the owner takes back is gone at once.
const CACHING: &str = "public, no-cache";

/// `GET /v1/feeds/{id}/preview`: a still, delayed, of a feed whose owner asked for it.
#[utoipa::path(
    get,
    path = "/v1/feeds/{id}/preview",
    operation_id = "preview",
    params(("id" = FeedId, Path)),
    responses((status = 200, description = "The still", content_type = "image/jpeg", body = Vec<u8>))
)]
pub(super) async fn read(
    State(index): State<LedgerIndex>,
    State(registry): State<Registry>,
    State(previews): State<Previews>,
    State(clock): State<ChainClock>,
    Id(feed): Id<FeedId>,
) -> Result<Response, HttpError> {
    let view = index.feed(feed).ok_or_else(|| unknown(feed))?;
    let is_open = sells_pictures(&view) && registry.device(view.device).is_some();
    let shown = if is_open {
        previews.of(&view, Instant::now(), clock.now_seconds())
    } else {
        Shown::Off
    };
    match shown {
        Shown::Off => Err(HttpError::not_found(
            "preview-off",
            "the owner does not show this feed to those who have not paid",
        )),
        Shown::NotYet => Err(HttpError::not_found(
            "preview-none",
            "no picture is old enough to be shown: a camera sends pictures while somebody watches",
        )),
        Shown::Still(still) => {
            let headers = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, CACHING)];
            Ok((headers, Bytes::from_owner(still.jpeg)).into_response())
        }
    }
}

/// `PUT /v1/feeds/{id}/preview`, by the feed's owner: stills are shown, as old as the setting says at least.
#[utoipa::path(
    put,
    path = "/v1/feeds/{id}/preview",
    operation_id = "preview_show",
    params(("id" = FeedId, Path)),
    request_body = PreviewSetting,
    responses((status = 204, description = "Stills are shown once one is old enough")),
    security(("session" = []))
)]
pub(super) async fn show(
    State(index): State<LedgerIndex>,
    State(clock): State<ChainClock>,
    State(previews): State<Previews>,
    Bearer(session): Bearer,
    Id(feed): Id<FeedId>,
    JsonBody(setting): JsonBody<PreviewSetting>,
) -> Result<StatusCode, HttpError> {
    let view = owned(&index, &clock, feed, &session)?;
    if !PREVIEW_DELAY_SECONDS.contains(&setting.delay_seconds) {
        let (least, most) = PREVIEW_DELAY_SECONDS.into_inner();
        let detail = format!("delaySeconds must be {least} to {most}");
        return Err(HttpError::bad_request("preview-delay", detail));
    }
    if !sells_pictures(&view) {
        let detail = "the feed's listing holds no frames";
        return Err(HttpError::conflict("preview-no-frames", detail));
    }
    previews.show(feed, view.owner, setting).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/feeds/{id}/preview`, by the feed's owner: nothing is shown any more.
#[utoipa::path(
    delete,
    path = "/v1/feeds/{id}/preview",
    operation_id = "preview_hide",
    params(("id" = FeedId, Path)),
    responses((status = 204, description = "Nothing is shown")),
    security(("session" = []))
)]
pub(super) async fn hide(
    State(index): State<LedgerIndex>,
    State(clock): State<ChainClock>,
    State(previews): State<Previews>,
    Bearer(session): Bearer,
    Id(feed): Id<FeedId>,
) -> Result<StatusCode, HttpError> {
    owned(&index, &clock, feed, &session)?;
    previews.hide(feed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The feed, if the wallet owns it on the ledger.
fn owned(
    index: &LedgerIndex,
    clock: &ChainClock,
    feed: FeedId,
    session: &SessionClaims,
) -> Result<FeedView, HttpError> {
    if !clock.is_current() {
        return Err(HttpError::chain_unavailable());
    }
    let view = index.feed(feed).ok_or_else(|| unknown(feed))?;
    if view.owner != session.wallet {
        let detail = format!("only {} may say what is shown of this feed", view.owner);
        return Err(HttpError::forbidden("owner-required", detail));
    }
    Ok(view)
}

fn sells_pictures(view: &FeedView) -> bool {
    let mut streams = view.streams().iter();
    streams.any(|stream| stream.name.as_str() == StreamName::FRAMES)
}
