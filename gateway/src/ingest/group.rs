use ashya_protocol::StreamName;

/// So many events, or the one that brings them to so many bytes, are enough.
const EVENTS: usize = 16;
const BYTES: usize = 32 * 1024;

/// Events that are decided before any of them goes to its watchers: those of one stream then reach a socket in one write.
#[derive(Debug, Default)]
pub(super) struct Group {
    events: usize,
    bytes: usize,
    has_frame: bool,
}

impl Group {
    /// One more event.
    pub(super) fn add(&mut self, stream: &StreamName, envelope: &[u8]) {
        self.events += 1;
        self.bytes += envelope.len();
        self.has_frame |= stream.as_str() == StreamName::FRAMES;
    }

    /// Whether it goes to its watchers before further events are decided. Pictures go out one by one: the processor still
    /// has them at hand, and a socket's queue has room for few.
    pub(super) const fn is_full(&self) -> bool {
        self.events >= EVENTS || self.bytes >= BYTES || self.has_frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_out_one_by_one_and_small_events_by_sixteen() {
        for (stream, bytes, expected) in [
            ("detections", 300, 16),
            ("detections", 4 * 1024, 8),
            ("detections", 100_000, 1),
            ("frames", 300, 1),
        ] {
            let stream = stream.parse().unwrap();
            let mut group = Group::default();
            let mut events = 0;
            while !group.is_full() {
                group.add(&stream, &vec![0; bytes]);
                events += 1;
            }
            assert_eq!(events, expected, "{stream} of {bytes}");
        }
    }
}
