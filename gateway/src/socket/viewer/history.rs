//! What a viewer follows, what it replays, and what it holds back during a pause.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashya_protocol::ws::{GapReason, ServerMessage};
use ashya_protocol::{Boot, FeedId, Position, Seq, StreamName};

use super::{Outgoing, Viewer};
use crate::hub::{Message, Missing, Replay};
use crate::stream::StreamKey;

impl Viewer {
    /// Follows what the paid watch of `feed` entitles to, replays what it asks for, and leaves what no watch entitles
    /// to any more. A paused watch keeps its place, so that nothing is lost at either end of the pause.
    pub(super) fn follow(&mut self, feed: FeedId, since: &BTreeMap<StreamName, Position>) {
        if let Some(watch) = self.watches.get(&feed).filter(|watch| watch.is_paid()) {
            for stream in watch.streams.clone() {
                let device = self.watches[&feed].device;
                let key = StreamKey { device, stream };
                let (hub, outbox) = (&self.parts.hub, &self.outbox);
                self.followed.entry(key.clone()).or_insert_with(|| {
                    let (following, _) = hub.follow(key.clone(), outbox, None);
                    Box::new(following)
                });
                if let Some(position) = since.get(&key.stream) {
                    self.replay(&key, *position);
                }
            }
        }
        self.leave_unwatched();
    }

    /// Follows what a watch entitles to that has just begun, from the first second of its waiting that is paid: the word
    /// of a payment comes later than the payment, with the block that holds it.
    pub(super) fn follow_from_payment(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get(&feed) else {
            return;
        };
        let (device, asked_at) = (watch.device, watch.asked_at);
        for stream in watch.streams.clone() {
            let key = StreamKey { device, stream };
            if self.followed.contains_key(&key) {
                // Another watch has left out what it has not paid for.
                self.left_out.add(&key, feed);
                continue;
            }
            let hub = &self.parts.hub;
            let (following, mut replay) =
                hub.follow(key.clone(), &self.outbox, Some(Position::ORIGIN));
            self.followed.insert(key.clone(), Box::new(following));
            // Only what memory still has is promised to one who waited.
            replay.gone.clear();
            replay
                .events
                .retain(|message| message.moment().at >= asked_at);
            let replayed = self.paid_part(&key, replay);
            self.ready.extend(replayed);
        }
    }

    /// Replays a followed stream after a position: from memory, or first from the disk what is no longer there.
    fn replay(&mut self, key: &StreamKey, position: Position) {
        self.forget_replay(key, Position::ORIGIN);
        self.catching_up.forget(key);
        if !self.join(key, position, self.missing(key)) {
            self.catching_up.begin(key.clone(), position, 0);
        }
    }

    /// What to do about events of a stream that are no longer in memory.
    fn missing(&self, key: &StreamKey) -> Missing {
        if self.parts.history.keeps(&key.stream) {
            Missing::Refuse
        } else {
            Missing::Tell
        }
    }

    /// Joins the watchers of a followed stream after a position, if memory has what came since.
    pub(super) fn join(&mut self, key: &StreamKey, position: Position, missing: Missing) -> bool {
        let following = self.followed.get_mut(key);
        let Some(replay) = following.and_then(|following| following.join(position, missing)) else {
            return false;
        };
        let replayed = self.paid_part(key, replay);
        self.ready.extend(replayed);
        true
    }

    /// Of a replay, what any of the wallet's watches has paid for.
    fn paid_part(&mut self, key: &StreamKey, replay: Replay) -> Vec<Outgoing> {
        let gone = replay.gone.into_iter();
        let gone = gone.map(|(boot, from, to)| gone_of(key, boot, from, to));
        let mut outgoing: Vec<_> = gone.collect();
        for message in replay.events {
            if self.had_paid_for(&message) {
                self.left_out.end_run(key);
                outgoing.extend(with_lost(message));
            } else if self.note_left_out(&message) {
                outgoing.extend(message.lost_before().map(Outgoing::Control));
            }
        }
        outgoing
    }

    /// Drops what an older replay of a stream, or a pause, still holds from a position on: the newer replay has it.
    pub(super) fn forget_replay(&mut self, key: &StreamKey, from: Position) {
        let is_other = |outgoing: &Outgoing| match outgoing {
            Outgoing::Event(message) => message.key() != key || message.position() < from,
            Outgoing::Control(ServerMessage::Gap {
                device,
                stream,
                boot,
                from: seq,
                ..
            }) => {
                let (boot, seq) = (*boot, *seq);
                (device, stream) != (&key.device, &key.stream) || Position { boot, seq } < from
            }
            Outgoing::Control(_) => true,
        };
        self.ready.retain(is_other);
        self.held.retain(is_other);
        self.left_out.forget(key);
    }

    /// Lets go of what a pause has held back or left out wrongly, once the feed's clock runs: before any later event,
    /// after what was said before.
    pub(super) fn release_held(&mut self) {
        self.take_up_left_out();
        let held = std::mem::take(&mut self.held);
        let mut released = Vec::new();
        for outgoing in held {
            let Outgoing::Event(message) = &outgoing else {
                continue;
            };
            let mut watches = self.watches.values();
            if watches.any(|watch| watch.is_live() && watch.holds(message.key())) {
                released.push(outgoing);
            } else if self.followed.contains_key(message.key()) {
                self.held.push_back(outgoing);
            }
        }
        let is_event = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Event(_));
        let first = self.ready.iter().position(is_event);
        let later = self.ready.split_off(first.unwrap_or(self.ready.len()));
        self.ready.extend(released);
        self.ready.extend(later);
    }

    pub(super) fn leave_unwatched(&mut self) {
        let watches = &self.watches;
        self.followed.retain(|key, _| {
            let mut watches = watches.values();
            watches.any(|watch| watch.is_paid() && watch.holds(key))
        });
        for (key, following) in self.followed.iter_mut() {
            let mut watches = watches.values();
            following.set_wanted(watches.any(|watch| watch.is_live() && watch.holds(key)));
        }
        let followed = &self.followed;
        self.catching_up.retain(|key| followed.contains_key(key));
        self.left_out.retain(|key| followed.contains_key(key));
        self.held.retain(|outgoing| {
            matches!(outgoing, Outgoing::Event(message) if followed.contains_key(message.key()))
        });
    }
}

/// Tells numbers of one boot that are no longer kept.
pub(super) fn gone_of(key: &StreamKey, boot: Boot, from: Seq, to: Seq) -> Outgoing {
    Outgoing::Control(ServerMessage::Gap {
        device: key.device,
        stream: key.stream.clone(),
        boot,
        from,
        to,
        reason: GapReason::Gone,
    })
}

/// An event after the numbers before it that never came.
pub(super) fn with_lost(message: Arc<Message>) -> impl Iterator<Item = Outgoing> {
    let lost = message.lost_before().map(Outgoing::Control);
    lost.into_iter().chain([Outgoing::Event(message)])
}
