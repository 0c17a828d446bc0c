use ashya_protocol::rest::Head;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::HttpError;
use crate::chain::ChainStatus;
use crate::chain_clock::ChainClock;
use crate::metrics::Metrics;

/// The OpenMetrics text format, version 1.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the gateway is about to end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draining(pub(crate) CancellationToken);

/// Answer of the health routes when all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalized: Option<Head>,
}

/// `GET /v1/health/live`: the process answers.
#[utoipa::path(
    get,
    path = "/v1/health/live",
    operation_id = "health_live",
    responses((status = 200, description = "The process answers", body = Health))
)]
pub(super) async fn live() -> Json<Health> {
    Json(Health {
        status: "live",
        head: None,
        finalized: None,
    })
}

/// `GET /v1/health/ready`: whether the gateway can tell who has paid, and if not, why.
#[utoipa::path(
    get,
    path = "/v1/health/ready",
    operation_id = "health_ready",
    responses((status = 200, description = "The gateway can tell who has paid", body = Health))
)]
pub(super) async fn ready(
    State(clock): State<ChainClock>,
    State(chain): State<ChainStatus>,
    State(draining): State<Draining>,
) -> Result<Json<Health>, HttpError> {
    if draining.0.is_cancelled() {
        return Err(HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "the gateway is going away: ask another one, or this one after a moment",
        ));
    }
    if !clock.is_current() {
        return Err(HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "chain-unavailable",
            chain.describe(),
        ));
    }
    Ok(Json(Health {
        status: "ready",
        head: clock.head(),
        finalized: chain.newest_final(),
    }))
}

/// `GET /metrics` on the metrics listener.
pub(super) async fn metrics(State(metrics): State<Metrics>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()).into_response()
}
