use std::sync::{Arc, OnceLock};

use super::queue::{MAX_PICTURES, MAX_SMALL};
use super::{Encoding, Message};

/// Most bytes that a lane writes for a socket at once.
const MAX_BYTES: usize = 256 * 1024;

/// Events of one stream that came together, with their frames in one piece, made once for everybody who gets them.
#[derive(Debug)]
pub(super) struct Parcel {
    events: Vec<Arc<Message>>,
    fits: bool,
    /// The frames of several events; a single one has its own.
    binary: OnceLock<Vec<u8>>,
    json: OnceLock<Vec<u8>>,
}

impl Parcel {
    pub(super) fn new(events: &[Arc<Message>]) -> Self {
        let pictures = events.iter().filter(|event| event.is_picture());
        let bytes: usize = events.iter().map(|event| event.bytes()).sum();
        let is_queued_whole = pictures.count() <= MAX_PICTURES && events.len() <= MAX_SMALL;
        Self {
            fits: is_queued_whole && bytes <= MAX_BYTES,
            events: events.to_vec(),
            binary: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    pub(super) fn events(&self) -> &[Arc<Message>] {
        &self.events
    }

    /// Whether a lane takes it at once, and an empty queue all of it.
    pub(super) const fn fits(&self) -> bool {
        self.fits
    }

    /// The frames.
    pub(super) fn frames(&self, encoding: Encoding) -> &[u8] {
        if let [one] = &*self.events {
            return one.frame(encoding);
        }
        let made = match encoding {
            Encoding::Binary => &self.binary,
            Encoding::Json => &self.json,
        };
        made.get_or_init(|| {
            let frames = self.events.iter().map(|event| event.frame(encoding));
            frames.collect::<Vec<_>>().concat()
        })
    }
}
