use std::sync::OnceLock;

use ashya_protocol::ws::{GapReason, JsonEvent, ServerMessage};
use ashya_protocol::{FeedId, Position, StreamName, VerifiedEvent};
use bytes::Bytes;

use super::Encoding;
use super::frame::{BINARY, TEXT, framed, payload};
use crate::ledger_index::Paid;
use crate::stream::{Gap, StreamKey};

/// Room for what surrounds the payload in JSON: names, ids and the signature.
const JSON_AROUND_BYTES: usize = 512;

/// Events above this are treated as pictures: they may be dropped for a slow socket.
const PICTURE_BYTES: usize = 16 * 1024;

/// One accepted event with everything that is made from it once and shared by all of its watchers.
#[derive(Debug)]
pub(crate) struct Message {
    key: StreamKey,
    verified: VerifiedEvent,
    /// The websocket frame around the device's own bytes.
    binary: Bytes,
    /// The websocket frame around the JSON, made when the first watcher wants it.
    json: OnceLock<Bytes>,
    lost_before: Option<Gap>,
    moment: Moment,
}

/// When an event was accepted, in the time by which it is paid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Moment {
    /// Unix second of chain time.
    pub(crate) at: u64,
    /// The feed time of each feed of the device whose clock ran, as far as it was known, in the order of the feeds.
    pub(crate) feed_times: Vec<(FeedId, u64)>,
    /// The feeds of the device whose clocks stood still, as far as it was known, or of which that was not asked: the
    /// ledger's later words decide.
    pub(crate) paused: Vec<FeedId>,
}

impl Message {
    pub(crate) fn new(
        verified: VerifiedEvent,
        envelope: &[u8],
        lost_before: Option<Gap>,
        moment: Moment,
    ) -> Self {
        let event = verified.event();
        Self {
            key: StreamKey {
                device: event.device,
                stream: event.stream.clone(),
            },
            binary: framed(BINARY, envelope),
            json: OnceLock::new(),
            lost_before,
            moment,
            verified,
        }
    }

    #[cfg(test)]
    pub(crate) const fn after(mut self, lost: Gap) -> Self {
        self.lost_before = Some(lost);
        self
    }

    pub(crate) const fn key(&self) -> &StreamKey {
        &self.key
    }

    pub(crate) fn position(&self) -> Position {
        self.verified.event().position
    }

    /// The device's own bytes.
    #[cfg(test)]
    pub(crate) fn envelope(&self) -> Bytes {
        payload(&self.binary)
    }

    /// The websocket frame of the event; that of JSON is made when the first watcher wants it.
    pub(crate) fn frame(&self, encoding: Encoding) -> &[u8] {
        match encoding {
            Encoding::Binary => &self.binary,
            Encoding::Json => self.json_bytes(),
        }
    }

    /// The event as the all-JSON subprotocol has it.
    pub(crate) fn json(&self) -> Bytes {
        payload(self.json_bytes())
    }

    fn json_bytes(&self) -> &Bytes {
        self.json.get_or_init(|| {
            let event = ServerMessage::Event(Box::new(JsonEvent::from(&self.verified)));
            // A JsonEvent holds only texts and numbers, which always have a JSON form.
            framed(TEXT, &serde_json::to_vec(&event).unwrap_or_default())
        })
    }

    /// The numbers before this event that never reached the gateway.
    pub(crate) const fn lost(&self) -> Option<Gap> {
        self.lost_before
    }

    /// The `gap` that comes before this event because its numbers never reached the gateway.
    pub(crate) fn lost_before(&self) -> Option<ServerMessage> {
        let gap = self.lost_before?;
        Some(ServerMessage::Gap {
            device: self.key.device,
            stream: self.key.stream.clone(),
            boot: self.position().boot,
            from: gap.from,
            to: gap.to,
            reason: GapReason::Lost,
        })
    }

    /// Bytes on the wire, about.
    pub(crate) const fn bytes(&self) -> usize {
        self.binary.len()
    }

    pub(crate) const fn moment(&self) -> &Moment {
        &self.moment
    }

    /// Whether the event may be dropped for a slow socket: one of many frames, or large.
    pub(crate) fn is_picture(&self) -> bool {
        self.key.stream.as_str() == StreamName::FRAMES || self.binary.len() > PICTURE_BYTES
    }

    /// Bytes that the event may hold in memory, about: its envelope, its payload, its JSON, which comes with the first
    /// watcher who wants it and in which bytes that are no text take a third more, and the times of its feeds, of which a
    /// device may have many.
    pub(crate) fn weight(&self) -> usize {
        let payload = self.verified.event().payload.len();
        let feeds = self.moment.feed_times.capacity() * size_of::<(FeedId, u64)>()
            + self.moment.paused.capacity() * size_of::<FeedId>();
        self.binary.len() + payload + (payload + payload / 3 + JSON_AROUND_BYTES) + feeds
    }
}

impl Moment {
    /// Whether the feed's clock stood still, as far as it was known.
    pub(crate) fn is_paused(&self, feed: FeedId) -> bool {
        self.paused.contains(&feed)
    }

    /// Whether the feed's clock ran and showed a time within one of the half-open `windows`.
    pub(crate) fn is_within(&self, feed: FeedId, windows: &[(u64, u64)]) -> bool {
        self.feed_times
            .iter()
            .filter(|(id, _)| *id == feed)
            .any(|(_, time)| {
                windows
                    .iter()
                    .any(|(start, expiry)| start <= time && time < expiry)
            })
    }

    /// Whether it was paid by what the ledger has said since: a pause, or the end of one, may become known late.
    pub(crate) fn was_within(&self, feed: FeedId, paid: &Paid) -> bool {
        let runs = self.feed_times.iter().any(|(id, _)| *id == feed);
        (runs || self.is_paused(feed)) && paid.paid_time_at(self.at).is_some()
    }
}
