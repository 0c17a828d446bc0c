use ashya_protocol::rest::{Subscription, SubscriptionList};
use axum::Json;
use axum::extract::State;

use super::HttpError;
use super::extract::Bearer;
use crate::access;
use crate::chain_clock::ChainClock;
use crate::ledger_index::LedgerIndex;

/// `GET /v1/me/subscriptions`: what the wallet may watch or has paid for, with the newest end first.
pub(super) async fn subscriptions(
    State(index): State<LedgerIndex>,
    State(clock): State<ChainClock>,
    Bearer(session): Bearer,
) -> Result<Json<SubscriptionList>, HttpError> {
    if !clock.is_current() {
        return Err(HttpError::chain_unavailable());
    }
    let now = clock.now_seconds();
    let views = index.subscriptions_of(session.wallet).into_iter();
    let mut subscriptions: Vec<Subscription> = views
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
            })
        })
        .collect();
    subscriptions.sort_by_key(|one| std::cmp::Reverse((one.live, one.expires_at, one.expiry)));
    Ok(Json(SubscriptionList { subscriptions }))
}
