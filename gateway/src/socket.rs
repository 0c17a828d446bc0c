//! The websocket `/v1/ws`, one task for each.
//!
//! ```text
//!  client ──watch──► Socket ──► Viewer: which feeds, until when ──► Hub (follow, replay)
//!         ◄─events── Socket ◄── Viewer: asked before every write ◄── Outbox
//! ```
//!
//! [`Viewer`] decides what its wallet may see and is shared with the event streams of [`crate::sse`]; the socket only
//! speaks the protocol and writes in time.

mod actor;
mod batch;
mod limits;
mod look_out;
mod viewer;
mod watch;

use ashya_protocol::limits::MAX_CLIENT_MESSAGE_BYTES;
use ashya_protocol::ws::{SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON};
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::HttpError;
use crate::auth::sessions::Sessions;
use crate::chain_clock::ChainClock;
use crate::hub::Hub;
use crate::ledger_index::LedgerIndex;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::sse;

use actor::{Encoding, Socket};
pub(crate) use batch::Batch;
pub(crate) use limits::{BATCH_BYTES, BATCH_MESSAGES};
pub(crate) use viewer::{Outgoing, Step, Viewer};
pub(crate) use watch::WatchRefusal;

/// What sockets and event streams need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SocketParts {
    /// Checks bearer tokens.
    pub sessions: Sessions,
    /// Who has paid for what.
    pub index: LedgerIndex,
    /// The time by which it is paid.
    pub clock: ChainClock,
    /// Where events come from.
    pub hub: Hub,
    /// Who is online.
    pub presence: Presence,
    /// Where deliveries are counted.
    pub metrics: Metrics,
    /// Ends every socket.
    pub shutdown: CancellationToken,
    /// Knows the open sockets: wait for it after `shutdown`, with a deadline.
    pub tasks: TaskTracker,
}

impl FromRef<SocketParts> for Sessions {
    fn from_ref(parts: &SocketParts) -> Self {
        parts.sessions.clone()
    }
}

/// `GET /v1/ws` and `GET /v1/feeds/{id}/events`.
pub fn routes(parts: SocketParts) -> Router {
    Router::new()
        .route("/v1/ws", get(upgrade))
        .route("/v1/feeds/{id}/events", get(sse::events))
        .with_state(parts)
}

async fn upgrade(State(parts): State<SocketParts>, upgrade: WebSocketUpgrade) -> Response {
    let offered_none = upgrade.requested_protocols().next().is_none();
    let upgrade = upgrade
        .protocols([SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON])
        .max_message_size(MAX_CLIENT_MESSAGE_BYTES)
        .max_frame_size(MAX_CLIENT_MESSAGE_BYTES);
    let selected = upgrade.selected_protocol().map(http::HeaderValue::as_bytes);
    let encoding = match selected {
        Some(name) if name == SUBPROTOCOL_BINARY.as_bytes() => Encoding::Binary,
        Some(_) => Encoding::Json,
        None if offered_none => Encoding::Json,
        None => {
            let detail = "this socket speaks ashya.v1 and ashya.v1.json";
            return HttpError::bad_request("subprotocol-unknown", detail).into_response();
        }
    };
    let token = parts.tasks.token();
    upgrade.on_upgrade(async move |socket| {
        Socket::new(parts, socket, encoding).run().await;
        drop(token);
    })
}

#[cfg(test)]
mod tests;
