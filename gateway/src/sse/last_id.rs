use std::collections::BTreeMap;

use ashya_protocol::limits::MAX_STREAMS;
use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{DeviceId, Position, StreamName};
use http::HeaderMap;

use crate::api::{HttpError, LAST_EVENT_ID};
use crate::socket::Outgoing;
use crate::stream::StreamKey;

/// How far a reader is in each stream of a device: what `id` says, and `Last-Event-ID` gives back.
///
/// It names the device, since a feed may move to another one, whose numbers have nothing to do with those before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LastId {
    device: Option<DeviceId>,
    positions: BTreeMap<StreamName, Position>,
}

impl LastId {
    /// What the client says of itself; nothing when it is new.
    ///
    /// # Errors
    /// When it says what is no id of ours.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, HttpError> {
        let Some(header) = headers.get(LAST_EVENT_ID) else {
            return Ok(Self::default());
        };
        let text = header.to_str().ok();
        let parsed = text.and_then(Self::parse);
        parsed.ok_or_else(|| {
            HttpError::bad_request("last-event-id", "Last-Event-ID is none that was given out.")
        })
    }

    pub(super) const fn positions(&self) -> &BTreeMap<StreamName, Position> {
        &self.positions
    }

    /// Begins with these streams of a device. A new reader has missed what comes after the `last` event of each; one that
    /// was here before, all that it has paid for of a stream that it has had nothing of. What it has had of another device
    /// counts for nothing.
    pub(super) fn begin<'a>(
        &mut self,
        device: DeviceId,
        streams: impl Iterator<Item = &'a StreamName>,
        last: impl Fn(&StreamKey) -> Position,
    ) {
        let earlier = self.device.replace(device);
        let mut before = std::mem::take(&mut self.positions);
        if earlier != Some(device) {
            before.clear();
        }
        for stream in streams {
            let position = before.remove(stream).unwrap_or_else(|| match earlier {
                Some(_) => Position::ORIGIN,
                None => last(&StreamKey {
                    device,
                    stream: stream.clone(),
                }),
            });
            self.positions.insert(stream.clone(), position);
        }
        // Those that are not wanted now may be once more; an id has room for so many.
        let room = MAX_STREAMS.saturating_sub(self.positions.len());
        self.positions.extend(before.into_iter().take(room));
    }

    /// The id of something that goes out now; nothing for what does not move the reader.
    pub(super) fn step(&mut self, outgoing: &Outgoing) -> Option<String> {
        let (device, stream, position) = match outgoing {
            Outgoing::Event(message) => {
                let key = message.key();
                (key.device, key.stream.clone(), message.position())
            }
            Outgoing::Control(ServerMessage::Gap {
                device,
                stream,
                boot,
                to,
                ..
            }) => {
                let (boot, seq) = (*boot, *to);
                (*device, stream.clone(), Position { boot, seq })
            }
            Outgoing::Control(ServerMessage::Watching { .. }) => return Some(self.text()),
            Outgoing::Control(_) => return None,
        };
        if self.device.replace(device) != Some(device) {
            self.positions.clear();
        }
        // What a slow reader has lost is told when it is over, and may be older than what has come since.
        let last = self.positions.entry(stream).or_insert(position);
        *last = position.max(*last);
        Some(self.text())
    }

    fn text(&self) -> String {
        let device = self.device.iter().map(DeviceId::to_string);
        let streams = self.positions.iter();
        let streams = streams.map(|(stream, at)| format!("{stream}:{}:{}", at.boot, at.seq));
        device.chain(streams).collect::<Vec<_>>().join(",")
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = text.split(',');
        let device = Some(parts.next()?.parse().ok()?);
        let mut positions = BTreeMap::new();
        for part in parts {
            let mut fields = part.split(':');
            let stream = fields.next()?.parse().ok()?;
            let mut number = || fields.next()?.parse::<u64>().ok();
            let (boot, seq) = (number()?.try_into().ok()?, number()?.try_into().ok()?);
            if fields.next().is_some() || positions.len() >= MAX_STREAMS {
                return None;
            }
            positions.insert(stream, Position { boot, seq });
        }
        Some(Self { device, positions })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::Moment;
    use crate::hub::tests::{device_key, message, position};

    const DEVICE: &str = "0x0101010101010101010101010101010101010101";

    #[test]
    fn ids_are_read_as_they_are_written() {
        for (streams, count) in [
            ("", Some(0)),
            (",detections:3:41", Some(1)),
            (",detections:3:41,frames:3:7", Some(2)),
            (",detections", None),
            (",detections:3", None),
            (",detections:3:4:5", None),
            (",detections:3:x", None),
            (",detections:0x3:4", None),
            (",Detections:3:4", None),
            (",detections:3:9007199254740993", None),
            (",detections:3:41,", None),
        ] {
            let text = format!("{DEVICE}{streams}");
            let parsed = LastId::parse(&text);
            let found = parsed.as_ref().map(|id| id.positions.len());
            assert_eq!(found, count, "{text}");
            if let Some(id) = parsed {
                assert_eq!(id.text(), text);
            }
        }
        assert_eq!(LastId::parse(""), Some(LastId::default()));
        assert_eq!(LastId::parse("detections:3:41"), None, "of which device?");
        let many: String = (0..=MAX_STREAMS)
            .map(|number| format!(",s{number}:1:1"))
            .collect();
        assert_eq!(LastId::parse(&format!("{DEVICE}{many}")), None);
    }

    #[test]
    fn an_id_only_rises() {
        let device = device_key().device_id();
        let mut id = LastId::parse(&format!("{device},frames:3:7")).unwrap();
        let event = |seq| {
            let event = message("detections", 3, seq, 10, Moment::default());
            Outgoing::Event(Arc::new(event))
        };
        assert_eq!(
            id.step(&event(9)).as_deref(),
            Some(format!("{device},detections:3:9,frames:3:7").as_str())
        );
        assert_eq!(
            id.step(&event(4)).as_deref(),
            Some(format!("{device},detections:3:9,frames:3:7").as_str())
        );
        assert_eq!(id.step(&Outgoing::Control(ServerMessage::Pong {})), None);
        assert_eq!(id.positions().values().max(), Some(&position(3, 9)));
    }

    #[test]
    fn another_device_begins_anew() {
        let device = device_key().device_id();
        let of_another = format!("{DEVICE},detections:9:7,frames:9:1");
        let mut id = LastId::parse(&of_another).unwrap();
        let event = message("detections", 3, 1, 10, Moment::default());
        let stepped = id.step(&Outgoing::Event(Arc::new(event)));
        assert_eq!(stepped, Some(format!("{device},detections:3:1")));
        let streams: [StreamName; 1] = ["detections".parse().unwrap()];
        let last = |_: &StreamKey| position(3, 9);
        id.begin(device, streams.iter(), last);
        assert_eq!(id.text(), format!("{device},detections:3:1"), "its own");
        let mut id = LastId::parse(&of_another).unwrap();
        id.begin(device, streams.iter(), last);
        assert_eq!(id.text(), format!("{device},detections:0:0"), "all of it");
        let mut new = LastId::default();
        new.begin(device, streams.iter(), last);
        assert_eq!(new.text(), format!("{device},detections:3:9"));
        let more: [StreamName; 2] = ["detections".parse().unwrap(), "frames".parse().unwrap()];
        new.begin(device, more.iter(), last);
        let text = format!("{device},detections:3:9,frames:0:0");
        assert_eq!(new.text(), text, "a stream that came later");
        new.begin(device, more[1..].iter(), last);
        assert_eq!(new.text(), text, "a stream that may come again");
        let many: Vec<StreamName> = (0..MAX_STREAMS)
            .map(|number| format!("s{number}").parse().unwrap())
            .collect();
        new.begin(device, many.iter(), last);
        assert_eq!(
            LastId::parse(&new.text()),
            Some(new),
            "as many as it may hold"
        );
    }
}
