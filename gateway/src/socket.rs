//! The websocket `/v1/ws`, one task for each.
//!
//! ```text
//!  client ──watch──► Served ──► Viewer: which feeds, until when ──► Hub (follow, replay)
//!         ◄─events── Served ◄── Viewer: asked before every write ◄── Outbox
//! ```
//!
//! While a socket's task waits, events take the short way past it, by a pass that its viewer gives (`hub::lane`).
//!
//! [`Viewer`] decides what its wallet may see and is shared with the event streams of [`crate::sse`]; the socket only
//! speaks the protocol and writes in time.

mod actor;
mod batch;
mod end;
mod handshake;
mod limits;
mod line;
mod served;
mod signals;
mod times;
mod viewer;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use http::HeaderValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::sessions::Sessions;
use crate::chain_clock::ChainClock;
use crate::history::History;
use crate::hub::Hub;
use crate::ledger_index::LedgerIndex;
use crate::metrics::Metrics;
use crate::presence::Presence;

pub(crate) use batch::{Batch, Deadline};
pub(crate) use limits::{BATCH_BYTES, BATCH_MESSAGES};
pub use line::client_rules;
pub(crate) use viewer::{Grant, Outgoing, Step, Viewer};
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
    /// Where those come from that are no longer in memory.
    pub history: History,
    /// Who is online.
    pub presence: Presence,
    /// Where deliveries are counted.
    pub metrics: Metrics,
    /// What is configured.
    pub policy: SocketPolicy,
    /// Ends every socket.
    pub shutdown: CancellationToken,
    /// Knows the open sockets: wait for it after `shutdown`, with a deadline.
    pub tasks: TaskTracker,
}

/// What is configured about sockets.
#[derive(Debug, Clone, Default)]
pub struct SocketPolicy {
    /// Origins whose pages may open sockets, beside the gateway's own; all when there are none.
    pub origins: Vec<HeaderValue>,
}

impl FromRef<Arc<SocketParts>> for Sessions {
    fn from_ref(parts: &Arc<SocketParts>) -> Self {
        parts.sessions.clone()
    }
}

/// `GET /v1/ws`.
pub(crate) fn routes(parts: SocketParts) -> Router {
    Router::new()
        .route("/v1/ws", get(handshake::upgrade))
        .with_state(Arc::new(parts))
}

#[cfg(test)]
mod tests;
