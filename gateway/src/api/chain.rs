use ashya_protocol::rest::Chain;
use axum::Json;
use axum::extract::State;

use super::Site;
use crate::chain::ChainStatus;
use crate::chain_clock::ChainClock;

/// `GET /v1/chain`
#[utoipa::path(
    get,
    path = "/v1/chain",
    operation_id = "chain",
    responses((status = 200, description = "Where the money is", body = Chain))
)]
pub(super) async fn chain(
    State(site): State<Site>,
    State(clock): State<ChainClock>,
    State(status): State<ChainStatus>,
) -> Json<Chain> {
    Json(Chain {
        head: clock.head(),
        finalized: status.newest_final(),
        ..site.0.chain.clone()
    })
}
