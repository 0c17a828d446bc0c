use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use ashya_protocol::StreamName;

/// Which streams somebody who paid watches now; shared by the connection and the eye.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demand {
    streams: Arc<RwLock<BTreeSet<StreamName>>>,
}

impl Demand {
    /// Whether somebody watches the stream.
    pub(crate) fn wants(&self, stream: &str) -> bool {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.iter().any(|wanted| wanted.as_str() == stream)
    }

    /// Nobody watches, or nobody can be told.
    pub(crate) fn clear(&self) {
        self.set(BTreeSet::new());
    }

    /// Takes the gateway's word for it. An empty payload, a cleared retained message, means that nobody watches.
    ///
    /// # Errors
    /// When the payload is something else.
    pub(crate) fn update(&self, payload: &[u8]) -> Result<(), serde_json::Error> {
        let demanded = if payload.is_empty() {
            ashya_protocol::Demand::default()
        } else {
            serde_json::from_slice(payload)?
        };
        self.set(demanded.streams);
        Ok(())
    }

    fn set(&self, streams: BTreeSet<StreamName>) {
        *self.streams.write().unwrap_or_else(PoisonError::into_inner) = streams;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_says_who_watches() {
        let demand = Demand::default();
        for (payload, valid, wanted) in [
            (&br#"{"streams":["detections"]}"#[..], true, false),
            (br#"{"streams":["frames","detections"]}"#, true, true),
            (b"what?", false, true),
            (br#"{"streams":["No"]}"#, false, true),
            (br#"{"streams":[]}"#, true, false),
            (br#"{"streams":["frames"]}"#, true, true),
            (b"", true, false),
        ] {
            assert_eq!(demand.update(payload).is_ok(), valid);
            assert_eq!(
                demand.wants(StreamName::FRAMES),
                wanted,
                "{}",
                String::from_utf8_lossy(payload)
            );
        }
        demand.update(br#"{"streams":["people"]}"#).unwrap();
        assert!(demand.wants("people") && !demand.wants(StreamName::FRAMES));
        demand.clear();
        assert!(!demand.wants("people"));
    }
}
