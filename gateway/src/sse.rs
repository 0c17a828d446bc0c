//! `GET /v1/feeds/{id}/events`: a feed as Server-Sent Events, for whoever has no websocket.
//!
//! The same [`Viewer`] as behind the websocket decides what comes out. Each event's `data` is a `JsonEvent`; `watching`,
//! `gap`, `notice` and `ended` have the websocket's JSON and its name as their event type.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use ashya_protocol::FeedId;
use ashya_protocol::ws::ServerMessage;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::stream::{self, Stream};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::api::{Bearer, HttpError, Id};
use crate::chain_clock::wall_instant_of;
use crate::metrics::Metrics;
use crate::socket::{Outgoing, SocketParts, Step, Viewer, WatchRefusal};

/// Time between comments on a silent stream; middle boxes drop idle connections after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(crate) async fn events(
    State(parts): State<SocketParts>,
    Bearer(claims): Bearer,
    Id(feed): Id<FeedId>,
) -> Result<Response, HttpError> {
    let mut viewer = Viewer::new(parts.clone(), claims.wallet);
    viewer
        .watch(feed, None, &BTreeMap::new())
        .map_err(refused)?;
    let first = match viewer.next() {
        Step::Write(Outgoing::Control(ServerMessage::PaymentRequired(offer)), _) => {
            return Err(HttpError::payment_required(offer));
        }
        Step::Write(first, _) => Some(first),
        Step::Idle | Step::TooSlow => None,
    };
    let metrics = parts.metrics.clone();
    metrics.sockets.inc();
    let reader = Reader {
        first,
        viewer,
        session_ends: wall_instant_of(claims.expires_at),
        shutdown: parts.shutdown.clone(),
        _open: Open(metrics.sockets.clone()),
        _task: parts.tasks.token(),
        metrics,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(reader.into_stream())
        .keep_alive(keep_alive)
        .into_response())
}

/// One open event stream.
struct Reader {
    first: Option<Outgoing>,
    viewer: Viewer,
    session_ends: Instant,
    shutdown: CancellationToken,
    metrics: Metrics,
    _open: Open,
    _task: TaskTrackerToken,
}

/// Counts an open stream until it is dropped.
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut reader| {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    /// The next event; `None` when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(first) = self.first.take() {
                return Some(encode(&first));
            }
            // Also while events wait: a busy stream must not keep the viewer from noticing a cancel.
            let _ = self.viewer.turn().now_or_never();
            match self.viewer.next() {
                Step::Write(outgoing, _) => {
                    if matches!(outgoing, Outgoing::Event(_)) {
                        self.metrics.events_delivered.inc();
                    }
                    return Some(encode(&outgoing));
                }
                Step::TooSlow => return None,
                Step::Idle if !self.viewer.is_watching() => return None,
                Step::Idle => {}
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = sleep_until(self.session_ends) => return None,
                () = self.viewer.turn() => {}
            }
        }
    }
}

fn encode(outgoing: &Outgoing) -> Event {
    match outgoing {
        Outgoing::Event(message) => Event::default()
            .event("event")
            .data(message.json().as_str()),
        Outgoing::Control(message) => {
            // Control messages hold only texts and numbers, which always have a JSON form.
            let json = serde_json::to_string(message).unwrap_or_default();
            Event::default().event(name(message)).data(json)
        }
    }
}

const fn name(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Welcome { .. } => "welcome",
        ServerMessage::Watching { .. } => "watching",
        ServerMessage::Event(_) => "event",
        ServerMessage::Gap { .. } => "gap",
        ServerMessage::Notice { .. } => "notice",
        ServerMessage::Ended { .. } => "ended",
        ServerMessage::PaymentRequired(_) => "payment-required",
        ServerMessage::Error { .. } => "error",
        ServerMessage::Pong {} => "pong",
    }
}

fn refused(refusal: WatchRefusal) -> HttpError {
    let detail = refusal.to_string();
    match refusal {
        WatchRefusal::UnknownFeed => HttpError::not_found("feed-unknown", detail),
        WatchRefusal::ListingMissing => HttpError::conflict("listing-missing", detail),
        WatchRefusal::UnknownStream | WatchRefusal::TooManyWatches => {
            HttpError::bad_request("watch-refused", detail)
        }
        WatchRefusal::ChainUnavailable => HttpError::chain_unavailable(),
    }
}
