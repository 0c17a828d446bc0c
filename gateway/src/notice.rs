//! What a device is told of an event that nobody gets.

use ashya_protocol::{Position, StreamName};
use serde::Serialize;

use crate::ingest::Verdict;
use crate::metrics::Rejection;

/// A refusal, as `ashya/v1/{device}/down/notice` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    stream: StreamName,
    reason: Rejection,
    position: Option<Position>,
}

#[derive(Serialize)]
struct Payload<'a> {
    stream: &'a StreamName,
    #[serde(flatten)]
    position: Option<Position>,
    reason: &'static str,
}

impl Notice {
    /// What is to be told of an event of `stream`; nothing when it was accepted.
    pub(crate) fn of(stream: StreamName, verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Accepted => None,
            Verdict::Refused { reason, position } => Some(Self {
                stream,
                reason,
                position,
            }),
        }
    }

    /// The payload: `{"stream":"detections","boot":1,"seq":2,"reason":"replayed"}`, without a position that could not
    /// be read.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let payload = Payload {
            stream: &self.stream,
            position: self.position,
            reason: self.reason.as_str(),
        };
        // Names and numbers always have a JSON form.
        serde_json::to_vec(&payload).unwrap_or_default()
    }
}
