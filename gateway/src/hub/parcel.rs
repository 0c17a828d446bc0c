use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use super::{Encoding, Message};

/// Events of one stream that came together, with their frames in one piece, made once for everybody who gets them.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    events: &'a [Arc<Message>],
    binary: OnceCell<Cow<'a, [u8]>>,
    json: OnceCell<Cow<'a, [u8]>>,
}

impl<'a> Parcel<'a> {
    pub(super) fn new(events: &'a [Arc<Message>]) -> Self {
        Self {
            events,
            binary: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    pub(super) const fn events(&self) -> &'a [Arc<Message>] {
        self.events
    }

    /// Bytes on the wire, about.
    pub(super) fn size(&self) -> usize {
        self.events.iter().map(|event| event.bytes()).sum()
    }

    /// The frames.
    pub(super) fn frames(&self, encoding: Encoding) -> &[u8] {
        let made = match encoding {
            Encoding::Binary => &self.binary,
            Encoding::Json => &self.json,
        };
        made.get_or_init(|| match self.events {
            [one] => Cow::Borrowed(one.frame(encoding)),
            many => {
                let frames: Vec<_> = many.iter().map(|event| event.frame(encoding)).collect();
                Cow::Owned(frames.concat())
            }
        })
    }
}
