use std::collections::BTreeMap;

use ashya_protocol::limits::MAX_STREAMS;
use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{Position, StreamName};
use http::HeaderMap;

use crate::api::HttpError;
use crate::socket::Outgoing;

/// How far a reader is in each stream: what `id` says, and `Last-Event-ID` gives back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LastId(BTreeMap<StreamName, Position>);

impl LastId {
    /// What the client says of itself; nothing when it is new.
    ///
    /// # Errors
    /// When it says what is no id of ours.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, HttpError> {
        let Some(header) = headers.get("last-event-id") else {
            return Ok(Self::default());
        };
        let text = header.to_str().ok();
        let parsed = text.and_then(Self::parse);
        parsed.ok_or_else(|| {
            HttpError::bad_request("last-event-id", "Last-Event-ID is none that was given out.")
        })
    }

    pub(super) const fn positions(&self) -> &BTreeMap<StreamName, Position> {
        &self.0
    }

    /// The id of something that goes out now; nothing for what does not move the reader.
    pub(super) fn step(&mut self, outgoing: &Outgoing) -> Option<String> {
        let (stream, position) = match outgoing {
            Outgoing::Event(message) => (message.key().stream.clone(), message.position()),
            Outgoing::Control(ServerMessage::Gap {
                stream, boot, to, ..
            }) => {
                let (boot, seq) = (*boot, *to);
                (stream.clone(), Position { boot, seq })
            }
            Outgoing::Control(_) => return None,
        };
        // What a slow reader has lost is told when it is over, and may be older than what has come since.
        let last = self.0.entry(stream).or_insert(position);
        *last = position.max(*last);
        Some(self.text())
    }

    fn text(&self) -> String {
        let streams = self.0.iter();
        let parts = streams.map(|(stream, at)| format!("{stream}:{}:{}", at.boot, at.seq));
        parts.collect::<Vec<_>>().join(",")
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut positions = BTreeMap::new();
        for part in text.split(',') {
            let mut fields = part.split(':');
            let stream = fields.next()?.parse().ok()?;
            let mut number = || fields.next()?.parse::<u64>().ok();
            let (boot, seq) = (number()?.try_into().ok()?, number()?.try_into().ok()?);
            if fields.next().is_some() || positions.len() >= MAX_STREAMS {
                return None;
            }
            positions.insert(stream, Position { boot, seq });
        }
        Some(Self(positions))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::Moment;
    use crate::hub::tests::{message, position};

    #[test]
    fn ids_are_read_as_they_are_written() {
        for (text, count) in [
            ("", Some(0)),
            ("detections:3:41", Some(1)),
            ("detections:3:41,frames:3:7", Some(2)),
            ("detections", None),
            ("detections:3", None),
            ("detections:3:4:5", None),
            ("detections:3:x", None),
            ("detections:0x3:4", None),
            ("Detections:3:4", None),
            ("detections:3:9007199254740993", None),
            ("detections:3:41,", None),
        ] {
            let parsed = LastId::parse(text);
            assert_eq!(parsed.as_ref().map(|id| id.0.len()), count, "{text}");
            if let Some(id) = parsed {
                assert_eq!(id.text(), text);
            }
        }
        let many: Vec<_> = (0..=MAX_STREAMS)
            .map(|number| format!("s{number}:1:1"))
            .collect();
        assert_eq!(LastId::parse(&many.join(",")), None);
    }

    #[test]
    fn an_id_only_rises() {
        let mut id = LastId::parse("frames:3:7").unwrap();
        let event = |seq| {
            let event = message("detections", 3, seq, 10, Moment::default());
            Outgoing::Event(Arc::new(event))
        };
        assert_eq!(
            id.step(&event(9)).as_deref(),
            Some("detections:3:9,frames:3:7")
        );
        assert_eq!(
            id.step(&event(4)).as_deref(),
            Some("detections:3:9,frames:3:7")
        );
        assert_eq!(id.step(&Outgoing::Control(ServerMessage::Pong {})), None);
        assert_eq!(id.positions().values().max(), Some(&position(3, 9)));
    }
}
