use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ashya_protocol::StreamName;

/// Whether somebody who paid watches the pictures now; shared by the connection and the eye.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demand {
    frames: Arc<AtomicBool>,
}

impl Demand {
    pub(crate) fn wants_frames(&self) -> bool {
        self.frames.load(Ordering::Relaxed)
    }

    /// Nobody watches, or nobody can be told.
    pub(crate) fn clear(&self) {
        self.frames.store(false, Ordering::Relaxed);
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
        let frames = demanded
            .streams
            .iter()
            .any(|stream| stream.as_str() == StreamName::FRAMES);
        self.frames.store(frames, Ordering::Relaxed);
        Ok(())
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
                demand.wants_frames(),
                wanted,
                "{}",
                String::from_utf8_lossy(payload)
            );
        }
        demand.update(br#"{"streams":["frames"]}"#).unwrap();
        demand.clear();
        assert!(!demand.wants_frames());
    }
}
