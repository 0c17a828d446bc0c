use std::sync::Arc;

use ashya_contracts::Rpc;
use ashya_protocol::rest::{Feed, FeedList, SignedListing};
use ashya_protocol::{DeviceId, FeedId, Hash, Listing, Signature};
use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::conditional::IfMatch;
use super::extract::{Client, Id, JsonBody, Search};
use super::paging::PageQuery;
use super::{ApiState, HttpError};
use crate::auth::rates::Action;
use crate::chain_clock::ChainClock;
use crate::defaults::LISTING_PATIENCE;
use crate::ledger_index::{FeedView, LedgerIndex, ListingDocument};
use crate::presence::Presence;
use crate::registry::{Registry, RegistryError};
use crate::store::Store;

/// What `GET /v1/feeds` may be narrowed to.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FeedQuery {
    /// Words that must all occur in title, description, name, or the id of feed, device or owner.
    q: Option<String>,
    /// The device whose feeds are wanted.
    device: Option<DeviceId>,
    /// Most entries of the page; 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the page before; from the beginning when absent.
    after: Option<String>,
}

/// `GET /v1/feeds?q=&device=`, in the order of their titles.
#[utoipa::path(
    get,
    path = "/v1/feeds",
    operation_id = "feeds_list",
    params(FeedQuery),
    responses((status = 200, description = "The feeds", body = FeedList))
)]
pub(super) async fn list(
    State(index): State<LedgerIndex>,
    State(presence): State<Presence>,
    Search(query): Search<FeedQuery>,
) -> Result<Json<FeedList>, HttpError> {
    let page = PageQuery {
        limit: query.limit,
        after: query.after,
    };
    let wanted = page.wanted()?;
    let words: Vec<String> = query
        .q
        .as_deref()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let found: Vec<FeedView> = index
        .feeds()
        .into_iter()
        .filter(|feed| query.device.is_none_or(|device| feed.device == device))
        .filter(|feed| matches(feed, &words))
        .collect();
    let (views, next) = wanted.page(found, |feed| (title(feed).to_lowercase(), feed.id));
    let feeds = views.iter().map(|view| describe(view, &presence)).collect();
    Ok(Json(FeedList { feeds, next }))
}

/// `GET /v1/feeds/{id}`
#[utoipa::path(
    get,
    path = "/v1/feeds/{id}",
    operation_id = "feeds_read",
    params(("id" = FeedId, Path)),
    responses((status = 200, description = "The feed", body = Feed))
)]
pub(super) async fn read(
    State(index): State<LedgerIndex>,
    State(presence): State<Presence>,
    Id(feed): Id<FeedId>,
) -> Result<Json<Feed>, HttpError> {
    let view = index.feed(feed).ok_or_else(|| unknown(feed))?;
    Ok(Json(describe(&view, &presence)))
}

/// `GET /v1/feeds/{id}/listing`: the exact canonical JSON, so that anybody can hash it.
#[utoipa::path(
    get,
    path = "/v1/feeds/{id}/listing",
    operation_id = "feeds_listing",
    params(("id" = FeedId, Path)),
    responses((status = 200, description = "The exact canonical JSON of the listing", body = serde_json::Value))
)]
pub(super) async fn listing(
    State(index): State<LedgerIndex>,
    Id(feed): Id<FeedId>,
) -> Result<Response, HttpError> {
    let view = index.feed(feed).ok_or_else(|| unknown(feed))?;
    let document = view.document.ok_or_else(|| {
        let detail = format!(
            "listing {} is not shown here: an owner who may sell here has to put it",
            view.listing
        );
        HttpError::not_found("listing-missing", detail)
    })?;
    let json = [(CONTENT_TYPE, "application/json")];
    Ok((json, document.text.clone()).into_response())
}

/// What a listing is checked by, and where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    index: LedgerIndex,
    clock: ChainClock,
    registry: Registry,
    rpc: Rpc,
    store: Store,
}

impl FromRef<ApiState> for Shelf {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            index: state.index.clone(),
            clock: state.clock.clone(),
            registry: state.registry.clone(),
            rpc: state.rpc.clone(),
            store: state.store.clone(),
        }
    }
}

/// `PUT /v1/feeds/{id}/listing`: the document behind the ledger's hash, vouched for by the feed's owner.
#[utoipa::path(
    put,
    path = "/v1/feeds/{id}/listing",
    operation_id = "feeds_put_listing",
    params(("id" = FeedId, Path), ("if-match" = Option<String>, Header, description = "ETag of what was read")),
    request_body = SignedListing,
    responses((status = 204, description = "The listing is served"))
)]
pub(super) async fn put_listing(
    State(shelf): State<Shelf>,
    client: Client,
    if_match: IfMatch,
    Id(feed): Id<FeedId>,
    JsonBody(signed): JsonBody<SignedListing>,
) -> Result<StatusCode, HttpError> {
    let listing = Listing::from_canonical_json(&signed.document)
        .map_err(|error| HttpError::bad_request("listing-invalid", error.to_string()))?;
    let hash = Listing::hash_of(&signed.document);
    if !shelf.clock.is_current() {
        // An owner of earlier may be the owner in the blocks that are read just now.
        return Err(HttpError::chain_unavailable());
    }
    let view = feed_with_listing(&shelf.index, feed, hash).await?;
    if listing.name != view.name || listing.device != view.device {
        return Err(HttpError::bad_request(
            "listing-mismatch",
            format!(
                "the listing is about {:?} of {}",
                listing.name.as_str(),
                listing.device
            ),
        ));
    }
    if !shelf.registry.may_sell(view.owner, view.device) {
        return Err(RegistryError::NotListed.into());
    }
    let there = view.document.as_ref();
    if_match.check_bytes(there.map(|document| document.text.as_bytes()))?;
    // It asks the node, which has better to do for strangers.
    client.counts(Action::Registration)?;
    check_owner(&shelf.index, &shelf.rpc, &view, hash, &signed.signature).await?;
    let now = shelf.index.feed(feed).ok_or_else(|| unknown(feed))?;
    if (now.owner, now.listing) != (view.owner, hash) {
        let detail = "the ledger has changed while the signature was checked";
        return Err(HttpError::conflict("listing-hash", detail));
    }
    shelf.store.listings.put(feed.as_bytes(), &signed)?;
    shelf.store.flush().await?;
    let document = ListingDocument {
        hash,
        text: signed.document,
        listing,
    };
    shelf.index.set_document(feed, Arc::new(document));
    Ok(StatusCode::NO_CONTENT)
}

/// Whether every word occurs somewhere in the feed.
fn matches(feed: &FeedView, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let text = [
        title(feed),
        description(feed),
        feed.name.as_str(),
        &feed.id.to_string(),
        &feed.device.to_string(),
        &feed.owner.to_string(),
    ]
    .join("\n")
    .to_lowercase();
    words.iter().all(|word| text.contains(word))
}

/// Its name on the ledger, where the gateway shows no listing.
fn title(view: &FeedView) -> &str {
    match &view.document {
        Some(document) => &document.listing.title,
        None => view.name.as_str(),
    }
}

fn description(view: &FeedView) -> &str {
    match &view.document {
        Some(document) => &document.listing.description,
        None => "",
    }
}

pub(super) fn describe(view: &FeedView, presence: &Presence) -> Feed {
    Feed {
        id: view.id,
        device: view.device,
        name: view.name.clone(),
        owner: view.owner,
        price: view.price,
        listing: view.listing,
        title: title(view).to_owned(),
        description: description(view).to_owned(),
        streams: view
            .streams()
            .iter()
            .map(|stream| stream.name.clone())
            .collect(),
        state: view.state(),
        paused_at: view.clock.paused_at,
        paused_by: view.clock.paused_by,
        online: presence.is_online(view.device),
    }
}

pub(super) fn unknown(feed: FeedId) -> HttpError {
    HttpError::not_found("feed-unknown", format!("no feed {feed} on the ledger"))
}

/// The feed, once the ledger names this listing. An owner brings the document right after the transaction, often
/// before the follower has read its block.
async fn feed_with_listing(
    index: &LedgerIndex,
    feed: FeedId,
    listing: Hash,
) -> Result<FeedView, HttpError> {
    let wait = async {
        loop {
            let mut changes = index.changes(feed);
            if let Some(view) = index.feed(feed).filter(|view| view.listing == listing) {
                return view;
            }
            // A feed that is gone drops its sender; the next turn waits for whichever is opened.
            let _ = changes.changed().await;
        }
    };
    if let Ok(view) = timeout(LISTING_PATIENCE, wait).await {
        return Ok(view);
    }
    let view = index.feed(feed).ok_or_else(|| unknown(feed))?;
    let detail = format!(
        "the ledger names listing {}, this is {listing}",
        view.listing
    );
    Err(HttpError::conflict("listing-hash", detail))
}

async fn check_owner(
    index: &LedgerIndex,
    rpc: &Rpc,
    view: &FeedView,
    hash: Hash,
    signature: &Signature,
) -> Result<(), HttpError> {
    let digest = index.domain().feed_listing(view.id, hash);
    let valid = rpc
        .verify_signature(view.owner, &digest, signature.as_bytes())
        .await?;
    if valid {
        return Ok(());
    }
    let detail = format!(
        "the listing is not signed by the feed's owner {}",
        view.owner
    );
    Err(HttpError::forbidden("signature-invalid", detail))
}
