//! `GET /v1/feeds/{id}/events`: a feed as Server-Sent Events, for whoever has no websocket.
//!
//! ```text
//!  Viewer ──asked before every write──► Reader ──pieces, until a deadline──► Pipe ──► hyper ──► client
//! ```
//!
//! The same [`Viewer`] as behind the websocket decides what comes out. Each event's `data` is the JSON message that
//! the websocket's all-JSON subprotocol has, `type` included, and its `type` is the event's name too: `event`,
//! `watching`, `gap`, `notice`, `ended`. Its `id` names the device and says how far each stream is, as
//! `0x…,detections:3:41,frames:3:7`; a client that sends it back as `Last-Event-ID` gets what came since, and all
//! that is kept of streams that it has had nothing of. To a new one `watching` says where each begins.

mod last_id;
mod pipe;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::ws::{EndReason, NoticeState, ServerMessage};
use ashya_protocol::{FeedId, StreamName};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tracing::Instrument;

use crate::api::{Bearer, HttpError, Id, Search};
use crate::chain_clock::wall_instant_of;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::socket::{
    BATCH_BYTES, BATCH_MESSAGES, Batch, Grant, Outgoing, SocketParts, Step, Viewer, WatchRefusal,
};
use crate::stream::StreamKey;

use last_id::LastId;
use pipe::{Writer, pipe};

/// Time between comments; middle boxes drop idle connections after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time for the last words to a client.
const GOODBYE: Duration = Duration::from_secs(1);
/// A comment.
const COMMENT: &[u8] = b":\n\n";

/// `GET /v1/feeds/{id}/events`.
pub(crate) fn routes(parts: SocketParts) -> Router {
    Router::new()
        .route("/v1/feeds/{id}/events", get(events))
        .with_state(Arc::new(parts))
}

/// What of a feed is wanted.
#[derive(Debug, Default, Deserialize)]
struct EventQuery {
    /// Names of streams, with commas between; all of the listing when absent.
    streams: Option<String>,
}

impl EventQuery {
    fn streams(&self) -> Result<Option<BTreeSet<StreamName>>, HttpError> {
        let Some(text) = &self.streams else {
            return Ok(None);
        };
        let names = text.split(',').map(str::parse).collect::<Result<_, _>>();
        let names = names.map_err(|_| refused(WatchRefusal::UnknownStream))?;
        Ok(Some(names))
    }
}

async fn events(
    State(parts): State<Arc<SocketParts>>,
    Bearer(claims): Bearer,
    Id(feed): Id<FeedId>,
    Search(query): Search<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let streams = query.streams()?;
    let mut last_id = LastId::from_headers(&headers)?;
    if let Some(view) = parts.index.feed(feed)
        && let Some(document) = &view.sold
    {
        let sold = document.listing.streams.iter().map(|stream| &stream.name);
        let wanted = sold.filter(|name| {
            streams
                .as_ref()
                .is_none_or(|streams| streams.contains(name))
        });
        last_id.begin(view.device, wanted, |key| parts.hub.last(key));
    }
    let seat = parts.sessions.sit(claims)?;
    let mut viewer = Viewer::new(parts.clone(), claims.wallet);
    viewer
        .watch(feed, streams, last_id.positions())
        .map_err(refused)?;
    let first = match viewer.next(parts.clock.read()) {
        Step::Write(Outgoing::Control(ServerMessage::PaymentRequired(offer)), _) => {
            return Err(HttpError::payment_required(offer));
        }
        // Whoever has paid hears `watching` first: this one has not, and nobody can now.
        Step::Write(
            Outgoing::Control(ServerMessage::Notice {
                state: NoticeState::Paused,
                ..
            }),
            _,
        ) => {
            let detail = "the feed is paused: it can be subscribed to once it is resumed";
            return Err(HttpError::conflict("feed-paused", detail));
        }
        Step::Write(
            Outgoing::Control(ServerMessage::Ended {
                reason: EndReason::Retired,
                ..
            }),
            _,
        ) => {
            let detail = "the feed is retired: it cannot be subscribed to any more";
            return Err(HttpError::conflict("feed-retired", detail));
        }
        Step::Write(first, grant) => Some((first, grant)),
        Step::Idle | Step::TooSlow => None,
    };
    let (writer, pipe) = pipe();
    let mut reader = Reader {
        first,
        last_id,
        viewer,
        writer,
        hub: parts.hub.clone(),
        metrics: parts.metrics.clone(),
    };
    let open = Open::count(&reader.metrics.sockets);
    let session_ends = wall_instant_of(claims.expires_at);
    let tasks = parts.tasks.clone();
    let span = tracing::debug_span!("event_stream", feed.id = %feed);
    let serving = async move {
        let _open = open;
        tokio::select! {
            () = parts.shutdown.cancelled() => {}
            () = sleep_until(session_ends) => {}
            () = seat.revoked() => reader.end_revoked().await,
            () = reader.run() => {}
        }
        reader.writer.finish();
    };
    tasks.spawn(serving.instrument(span));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Body::from_stream(pipe)).into_response())
}

/// One open event stream.
struct Reader {
    first: Option<(Outgoing, Option<Grant>)>,
    /// How far the client is.
    last_id: LastId,
    viewer: Viewer,
    writer: Writer,
    hub: Hub,
    metrics: Metrics,
}

/// How far a stream is after a batch.
enum Progress {
    /// More waits.
    More,
    /// Nothing waits.
    Drained,
    /// Nothing will come any more.
    Over,
}

/// Counts an open stream until it is dropped.
struct Open(Gauge);

impl Open {
    fn count(sockets: &Gauge) -> Self {
        sockets.inc();
        Self(sockets.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Reader {
    async fn run(&mut self) {
        let mut comments = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let more = match self.write_batch().await {
                Some(Progress::More) => true,
                Some(Progress::Drained) => false,
                Some(Progress::Over) | None => return,
            };
            tokio::select! {
                () = self.writer.gone() => return,
                () = self.viewer.turn() => {}
                _ = comments.tick() => {
                    let mut nothing = Batch::new(self.viewer.read_clock(), None);
                    if self.write(&mut nothing, Bytes::from_static(COMMENT)).await.is_none() {
                        return;
                    }
                }
                () = std::future::ready(()), if more => {}
            }
        }
    }

    /// Tells the client that nothing more will come, as far as it listens.
    async fn end_revoked(&mut self) {
        if self.writer.is_busy() {
            // Bytes cannot be called back: nothing may follow half an event, so the answer is cut.
            return;
        }
        self.viewer.revoke();
        self.first = None;
        // Best effort: a client that does not read is not waited for.
        let _ = timeout(GOODBYE, self.write_batch()).await;
    }

    /// Writes what waits, many messages in one go; `None` when the connection has to be given up.
    async fn write_batch(&mut self) -> Option<Progress> {
        let now = self.viewer.read_clock();
        let (mut batch, mut text) = (Batch::new(now, None), BytesMut::new());
        let mut messages = 0;
        let progress = loop {
            if messages >= BATCH_MESSAGES || text.len() >= BATCH_BYTES {
                break Progress::More;
            }
            let (outgoing, grant) = match self.first.take() {
                Some(first) => first,
                None => match self.viewer.next(now) {
                    Step::Write(outgoing, grant) => (outgoing, grant),
                    Step::Idle if self.viewer.is_watching() => break Progress::Drained,
                    Step::Idle | Step::TooSlow => break Progress::Over,
                },
            };
            messages += 1;
            if let Outgoing::Control(ServerMessage::Watching {
                device, streams, ..
            }) = &outgoing
            {
                let last = |key: &StreamKey| self.hub.last(key);
                self.last_id.begin(*device, streams.iter(), last);
            }
            let id = self.last_id.step(&outgoing);
            encode(&mut text, id.as_deref(), &outgoing);
            if let (Outgoing::Event(event), Some(grant)) = (outgoing, grant) {
                batch.add(event, grant, now);
            }
        };
        if messages > 0 {
            self.write(&mut batch, text.freeze()).await?;
            self.metrics.events_delivered.inc_by(batch.events());
        }
        // While it was blocked, what the ledger said may have left something to tell.
        Some(match progress {
            Progress::Drained if !self.viewer.is_caught_up() => Progress::More,
            progress => progress,
        })
    }

    async fn write(&mut self, batch: &mut Batch, bytes: Bytes) -> Option<()> {
        let write = self.writer.write(bytes, batch.deadline());
        self.viewer.carry(batch, write).await?.ok()
    }
}

fn encode(text: &mut BytesMut, id: Option<&str>, outgoing: &Outgoing) {
    let mut put = |name: &str, json: &[u8]| {
        if let Some(id) = id {
            for part in ["id: ", id, "\n"] {
                text.put_slice(part.as_bytes());
            }
        }
        for part in [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"] {
            text.put_slice(part);
        }
    };
    match outgoing {
        Outgoing::Event(message) => put("event", &message.json()),
        Outgoing::Control(message) => {
            // Control messages hold only texts and numbers, which always have a JSON form, on one line.
            let json = serde_json::to_vec(message).unwrap_or_default();
            put(name(message), &json);
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
