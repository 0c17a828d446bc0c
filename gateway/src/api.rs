//! REST under `/v1` and the page, as one router.

mod auth;
mod chain;
mod conditional;
mod devices;
mod error;
mod extract;
mod feeds;
mod health;
mod layers;
mod me;
mod openapi;
mod page;
mod paging;
mod previews;

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::Rpc;
use ashya_protocol::Domain;
use ashya_protocol::limits::MAX_REST_BODY_BYTES;
use ashya_protocol::rest::Chain;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::get;
use axum::{Extension, Router, middleware};
use http::HeaderValue;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
use crate::previews::Previews;
use crate::registry::Registry;
use crate::store::Store;
use crate::traces::Traces;

pub use error::HttpError;
pub use extract::Bearer;
pub(crate) use extract::{Id, Search};
pub(crate) use health::Draining;
pub(crate) use layers::LAST_EVENT_ID;

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
    pub(crate) traces: Traces,
    pub(crate) previews: Previews,
    pub(crate) chain: ChainStatus,
    pub(crate) rpc: Rpc,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) draining: Draining,
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
    /// Port of the broker for TLS, as devices see it.
    pub(crate) mqtt_tls_port: Option<u16>,
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
    traces: Traces,
    previews: Previews,
    chain: ChainStatus,
    rpc: Rpc,
    store: Store,
    metrics: Metrics,
    draining: Draining,
    site: Site,
}

/// REST and page, with `more` routes beside them under the same rules.
pub(crate) fn router(state: ApiState, policy: &HttpPolicy, more: Router) -> Router {
    let rest = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(auth::nonce))
        .routes(routes!(auth::session, auth::sign_out))
        .routes(routes!(auth::list, auth::sign_out_everywhere))
        .routes(routes!(auth::end))
        .routes(routes!(chain::chain))
        .routes(routes!(devices::list, devices::register))
        .routes(routes!(devices::read, devices::update, devices::remove))
        .routes(routes!(devices::credentials))
        .routes(routes!(feeds::list))
        .routes(routes!(feeds::read))
        .routes(routes!(feeds::listing, feeds::put_listing))
        .routes(routes!(previews::read, previews::show, previews::hide))
        .routes(routes!(me::subscriptions))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::openapi));
    let (rest, document) = rest.split_for_parts();
    let rest = rest
        .with_state(state)
        .layer(DefaultBodyLimit::max(MAX_REST_BODY_BYTES))
        .layer(middleware::from_fn(conditional::tag))
        .layer(Extension(openapi::finish(document)));
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
