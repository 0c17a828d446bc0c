use std::cmp::Reverse;

use ashya_protocol::rest::{Subscription, SubscriptionList};
use axum::Json;
use axum::extract::State;

use super::HttpError;
use super::extract::{Bearer, Search};
use super::paging::{PageQuery, page};
use crate::access;
use crate::chain::ChainStatus;
use crate::chain_clock::ChainClock;
use crate::ledger_index::LedgerIndex;

/// `GET /v1/me/subscriptions`: what the wallet may watch or has paid for, with the newest end first.
#[utoipa::path(
    get,
    path = "/v1/me/subscriptions",
    operation_id = "subscriptions",
    params(PageQuery),
    responses((status = 200, description = "What the wallet may watch or has paid for", body = SubscriptionList)),
    security(("session" = []))
)]
pub(super) async fn subscriptions(
    State(index): State<LedgerIndex>,
    State(clock): State<ChainClock>,
    State(status): State<ChainStatus>,
    Bearer(session): Bearer,
    Search(query): Search<PageQuery>,
) -> Result<Json<SubscriptionList>, HttpError> {
    if !clock.is_current() {
        return Err(HttpError::chain_unavailable());
    }
    let now = clock.now_seconds();
    let newest_final = status.newest_final();
    let views = index.subscriptions_of(session.wallet).into_iter();
    let subscriptions: Vec<Subscription> = views
        .filter_map(|view| {
            let feed = index.feed(view.feed)?;
            let access = access::decide(&feed.clock, false, [(view.start, view.expiry)], now);
            Some(Subscription {
                feed: view.feed,
                payer: view.payer,
                beneficiary: view.beneficiary,
                price: view.price,
                start: view.start,
                expiry: view.expiry,
                expires_at: access.until(),
                live: access.is_allowed(),
                block: view.block,
                is_final: newest_final.is_some_and(|block| view.block <= block.number),
            })
        })
        .collect();
    let (subscriptions, next) = page(subscriptions, &query, |one| {
        let end = Reverse((one.live, one.expires_at, one.expiry));
        (end, one.feed, one.payer, one.beneficiary)
    })?;
    Ok(Json(SubscriptionList {
        subscriptions,
        next,
    }))
}
