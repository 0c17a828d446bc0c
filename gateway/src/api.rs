//! REST under `/v1` and the page, as one router.

mod auth;
mod chain;
mod devices;
mod error;
mod extract;
mod feeds;
mod health;
mod layers;
mod me;
mod page;

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::Rpc;
use ashya_protocol::Domain;
use ashya_protocol::limits::MAX_REST_BODY_BYTES;
use ashya_protocol::rest::Chain;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::{delete, get, post};
use http::HeaderValue;
use url::Url;

use crate::auth::client::Proxies;
use crate::auth::device_passwords::DevicePasswords;
use crate::auth::nonces::Nonces;
use crate::auth::rates::Rates;
use crate::auth::sessions::Sessions;
use crate::chain::ChainStatus;
use crate::chain_clock::ChainClock;
use crate::ledger_index::LedgerIndex;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::registry::Registry;
use crate::store::Store;

pub(crate) use error::Chained;
pub use error::HttpError;
pub use extract::Bearer;
pub(crate) use extract::Id;

/// Everything that REST handlers may ask for; each names the parts that it needs.
#[derive(Debug, Clone)]
pub(crate) struct ApiState {
    pub(crate) index: LedgerIndex,
    pub(crate) registry: Registry,
    pub(crate) sessions: Sessions,
    pub(crate) passwords: DevicePasswords,
    pub(crate) nonces: Nonces,
    pub(crate) rates: Rates,
    pub(crate) clock: ChainClock,
    pub(crate) presence: Presence,
    pub(crate) chain: ChainStatus,
    pub(crate) rpc: Rpc,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) site: Site,
}

/// What this gateway is called and offers; fixed once it listens. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Site(pub(crate) Arc<SiteInfo>);

/// See [`Site`].
#[derive(Debug)]
pub(crate) struct SiteInfo {
    /// Domains for which wallets may sign in.
    pub(crate) domains: Vec<String>,
    /// The answer of `GET /v1/chain`, without its head.
    pub(crate) chain: Chain,
    /// Port of the broker, as devices see it.
    pub(crate) mqtt_port: u16,
    /// Who may say for whom they ask.
    pub(crate) proxies: Proxies,
    /// Host of the broker, where it is not the one of REST.
    pub(crate) mqtt_host: Option<String>,
}

impl SiteInfo {
    /// The domain of every signature.
    pub(crate) fn domain(&self) -> Domain {
        Domain {
            chain_id: self.chain.chain_id,
            ledger: self.chain.ledger,
        }
    }
}

/// How requests are treated before and after they are handled.
#[derive(Debug, Clone)]
pub(crate) struct HttpPolicy {
    /// Longest time to the head of an answer.
    pub(crate) timeout: Duration,
    /// Origins of other sites' pages that may ask.
    pub(crate) cors_origins: Vec<HeaderValue>,
    /// The JSON-RPC endpoint that the page may ask.
    pub(crate) public_rpc: Option<Url>,
}

macro_rules! substates {
    ($($field:ident: $part:ty),* $(,)?) => {$(
        impl FromRef<ApiState> for $part {
            fn from_ref(state: &ApiState) -> Self {
                state.$field.clone()
            }
        }
    )*};
}

substates! {
    index: LedgerIndex,
    registry: Registry,
    sessions: Sessions,
    passwords: DevicePasswords,
    nonces: Nonces,
    rates: Rates,
    clock: ChainClock,
    presence: Presence,
    chain: ChainStatus,
    rpc: Rpc,
    store: Store,
    metrics: Metrics,
    site: Site,
}

/// REST and page, with `more` routes beside them under the same rules.
pub(crate) fn router(state: ApiState, policy: &HttpPolicy, more: Router) -> Router {
    let rest = Router::new()
        .route("/v1/auth/nonce", post(auth::nonce))
        .route(
            "/v1/auth/session",
            post(auth::session).delete(auth::sign_out),
        )
        .route(
            "/v1/auth/sessions",
            get(auth::list).delete(auth::sign_out_everywhere),
        )
        .route("/v1/auth/sessions/{id}", delete(auth::end))
        .route("/v1/chain", get(chain::chain))
        .route("/v1/devices", get(devices::list).post(devices::register))
        .route(
            "/v1/devices/{id}",
            get(devices::read)
                .put(devices::update)
                .delete(devices::remove),
        )
        .route("/v1/devices/{id}/credentials", post(devices::credentials))
        .route("/v1/feeds", get(feeds::list))
        .route("/v1/feeds/{id}", get(feeds::read))
        .route(
            "/v1/feeds/{id}/listing",
            get(feeds::listing).put(feeds::put_listing),
        )
        .route("/v1/me/subscriptions", get(me::subscriptions))
        .route("/v1/health/live", get(health::live))
        .route("/v1/health/ready", get(health::ready))
        .with_state(state)
        .layer(DefaultBodyLimit::max(MAX_REST_BODY_BYTES));
    let routes = rest
        .merge(more)
        .fallback(page::serve)
        .method_not_allowed_fallback(error::method_not_allowed);
    layers::apply(routes, policy)
}

/// The metrics listener's only page.
pub(crate) fn metrics_router(metrics: Metrics) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .with_state(metrics)
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
}

#[cfg(test)]
mod tests;
