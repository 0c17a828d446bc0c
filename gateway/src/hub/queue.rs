use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ashya_protocol::ws::{GapReason, ServerMessage};
use ashya_protocol::{Boot, Position, Seq};

use super::Message;
use crate::stream::StreamKey;

/// Most small events that wait for one socket; one more and the socket is given up.
pub(super) const MAX_SMALL: usize = 1_024;
/// Most pictures that wait for one socket: a viewer who is further behind wants the newest, not all.
pub(super) const MAX_PICTURES: usize = 8;
/// Most bytes of pictures that wait for one socket, with all that is made from them.
const MAX_PICTURE_BYTES: usize = 8 * 1024 * 1024;

/// Most separate losses of one stream that are told one by one.
const MAX_MISSED: usize = 64;

/// What waits for one socket, and what it has lost. Pictures make room first, the oldest of them; small events
/// are never dropped one by one: a socket that lets too many of them wait has overflown.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Arc<Message>>,
    pictures: usize,
    picture_bytes: usize,
    missed: BTreeMap<StreamKey, Vec<Missed>>,
    overflown: bool,
}

/// Events of one boot that a slow socket has lost, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) boot: Boot,
    pub(crate) from: Seq,
    pub(crate) to: Seq,
}

/// What became of a pushed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// So many events were lost to make room, this one perhaps among them.
    Dropped(u64),
}

/// What a socket gets next.
#[derive(Debug)]
pub(crate) enum Queued {
    Event(Arc<Message>),
    /// The socket was too slow for these.
    Gap(StreamKey, Missed),
}

impl Queue {
    pub(super) fn push(&mut self, message: Arc<Message>) -> Pushed {
        if self.overflown {
            return Pushed::Dropped(1);
        }
        if !message.is_picture() {
            if self.waiting.len() - self.pictures < MAX_SMALL {
                self.waiting.push_back(message);
                return Pushed::Queued;
            }
            let lost = self.waiting.len() + 1;
            *self = Self {
                overflown: true,
                ..Self::default()
            };
            return Pushed::Dropped(lost as u64);
        }
        self.pictures += 1;
        self.picture_bytes += message.weight();
        self.waiting.push_back(message);
        let mut dropped = 0;
        while self.pictures > MAX_PICTURES
            || (self.picture_bytes > MAX_PICTURE_BYTES && self.pictures > 1)
        {
            self.drop_oldest_picture();
            dropped += 1;
        }
        if dropped == 0 {
            Pushed::Queued
        } else {
            Pushed::Dropped(dropped)
        }
    }

    /// The next thing to write: before an event of a stream, what was lost of that stream; when nothing waits, what
    /// was lost of any.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let Some(next) = self.waiting.front() else {
            let key = self.missed.keys().next()?.clone();
            return self.pop_missed(&key, None);
        };
        // Hardly any socket has lost anything: nothing is copied for those that have not.
        if self.missed.contains_key(next.key()) {
            let (key, position) = (next.key().clone(), next.position());
            if let Some(gap) = self.pop_missed(&key, Some(position)) {
                return Some(gap);
            }
        }
        let message = self.waiting.pop_front()?;
        self.forget_weight(&message);
        Some(Queued::Event(message))
    }

    /// Takes out everything of one stream, also what was lost of it.
    pub(super) fn forget(&mut self, key: &StreamKey) {
        self.missed.remove(key);
        self.waiting.retain(|message| message.key() != key);
        let pictures = self.waiting.iter().filter(|message| message.is_picture());
        (self.pictures, self.picture_bytes) = pictures.fold((0, 0), |(count, bytes), picture| {
            (count + 1, bytes + picture.weight())
        });
    }

    /// Whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.missed.is_empty() && !self.overflown
    }

    pub(super) const fn is_overflown(&self) -> bool {
        self.overflown
    }

    fn pop_missed(&mut self, key: &StreamKey, before: Option<Position>) -> Option<Queued> {
        let missed = self.missed.get_mut(key)?;
        let first = *missed.first()?;
        let comes_first =
            |position: Position| (first.boot, first.to) < (position.boot, position.seq);
        if !before.is_none_or(comes_first) {
            return None;
        }
        missed.remove(0);
        if missed.is_empty() {
            self.missed.remove(key);
        }
        Some(Queued::Gap(key.clone(), first))
    }

    fn drop_oldest_picture(&mut self) {
        let oldest = self.waiting.iter().position(|message| message.is_picture());
        let Some(message) = oldest.and_then(|index| self.waiting.remove(index)) else {
            return;
        };
        self.forget_weight(&message);
        let position = message.position();
        // Numbers lost before the picture would have been told with it: they go into the same hole.
        let from = message.lost().map_or(position.seq, |gap| gap.from);
        let missed = self.missed.entry(message.key().clone()).or_default();
        let full = missed.len() >= MAX_MISSED;
        match missed.last_mut() {
            // A full list grows coarse rather than long.
            Some(last)
                if last.boot == position.boot && (full || last.to.get() + 1 == from.get()) =>
            {
                last.to = position.seq;
            }
            _ => missed.push(Missed {
                boot: position.boot,
                from,
                to: position.seq,
            }),
        }
    }

    fn forget_weight(&mut self, message: &Message) {
        if message.is_picture() {
            self.pictures -= 1;
            self.picture_bytes -= message.weight();
        }
    }
}

impl Missed {
    /// The message that tells the client.
    pub(crate) fn tell(self, key: &StreamKey) -> ServerMessage {
        ServerMessage::Gap {
            device: key.device,
            stream: key.stream.clone(),
            boot: self.boot,
            from: self.from,
            to: self.to,
            reason: GapReason::Slow,
        }
    }
}
