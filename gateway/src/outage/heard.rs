use std::collections::HashMap;
use std::sync::Arc;

use ashya_protocol::{DeviceId, StreamName};
use parking_lot::Mutex;
use tokio::time::Instant;

/// When each stream was last heard. Cheap to clone.
///
/// It holds the streams whose events were accepted here, as many as the positions remember; a device that was never
/// heard here is not this gateway's to judge.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<HashMap<DeviceId, HashMap<StreamName, Instant>>>>);

impl Heard {
    /// Takes the streams of earlier runs as heard `now`, so that the gateway's own absence is not held against them.
    pub fn remember(
        &self,
        streams: impl IntoIterator<Item = (DeviceId, StreamName)>,
        now: Instant,
    ) {
        for (device, stream) in streams {
            self.note(device, &stream, now);
        }
    }

    /// An event of the stream was accepted.
    pub(crate) fn note(&self, device: DeviceId, stream: &StreamName, now: Instant) {
        let mut devices = self.0.lock();
        let streams = devices.entry(device).or_default();
        match streams.get_mut(stream) {
            Some(last) => *last = now,
            None => {
                streams.insert(stream.clone(), now);
            }
        }
    }

    /// When the latest event of any of these streams was accepted.
    pub(super) fn last<'a>(
        &self,
        device: DeviceId,
        streams: impl IntoIterator<Item = &'a StreamName>,
    ) -> Option<Instant> {
        let devices = self.0.lock();
        let heard = devices.get(&device)?;
        let times = streams.into_iter().filter_map(|stream| heard.get(stream));
        times.max().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_latest_of_the_streams_that_are_sold() {
        let heard = Heard::default();
        let (here, elsewhere) = (DeviceId::new([1; 20]), DeviceId::new([2; 20]));
        let name = |name: &str| name.parse::<StreamName>().unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        heard.remember([(here, name("detections"))], at(0));
        heard.note(here, &name("status"), at(9));
        heard.note(here, &name("frames"), at(5));
        for (device, streams, expected) in [
            (here, vec!["detections"], Some(at(0))),
            (here, vec!["detections", "frames"], Some(at(5))),
            (here, vec!["other"], None),
            (here, vec![], None),
            (elsewhere, vec!["detections"], None),
        ] {
            let names: Vec<_> = streams.iter().map(|stream| name(stream)).collect();
            assert_eq!(heard.last(device, &names), expected, "{streams:?}");
        }
    }
}
