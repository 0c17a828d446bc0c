use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::{DeviceId, StreamName};
use parking_lot::Mutex;
use tokio::time::Instant;

/// When each stream was last heard. Cheap to clone.
///
/// It holds the streams whose events were accepted here, as many as the positions remember; a device that was never
/// heard here is not this gateway's to judge.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<HashMap<DeviceId, HashMap<StreamName, Sign>>>>);

/// A sign of life. A later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sign {
    at: Instant,
    run: Run,
}

/// The run of the gateway in which a device was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Run {
    /// One before: the time is that of this run's start, and says nothing of how the device is now.
    Earlier,
    /// This one: an event was accepted at that time.
    This,
}

/// How long nothing was heard of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    /// Time since the last sign of life.
    pub(super) length: Duration,
    /// The run in which that sign was heard.
    pub(super) since: Run,
}

impl Sign {
    pub(super) fn silence(self, now: Instant) -> Silence {
        Silence {
            length: now.saturating_duration_since(self.at),
            since: self.run,
        }
    }
}

impl Heard {
    /// Takes the silence of the streams of earlier runs as begun `now`, so that the gateway's own absence is not held
    /// against them. It does not take them for alive.
    pub fn remember(
        &self,
        streams: impl IntoIterator<Item = (DeviceId, StreamName)>,
        now: Instant,
    ) {
        let mut devices = self.0.lock();
        for (device, stream) in streams {
            let streams = devices.entry(device).or_default();
            streams.entry(stream).or_insert(Sign {
                at: now,
                run: Run::Earlier,
            });
        }
    }

    /// An event of the stream was accepted.
    pub(crate) fn note(&self, device: DeviceId, stream: &StreamName, now: Instant) {
        let sign = Sign {
            at: now,
            run: Run::This,
        };
        let mut devices = self.0.lock();
        let streams = devices.entry(device).or_default();
        match streams.get_mut(stream) {
            Some(last) => *last = sign,
            None => {
                streams.insert(stream.clone(), sign);
            }
        }
    }

    /// Forgets a device.
    pub(crate) fn forget(&self, device: DeviceId) {
        self.0.lock().remove(&device);
    }

    /// The latest sign of life of a device of which these streams are sold.
    ///
    /// Where all of them wait for demand, every stream of the device counts: nobody need be watching, and a paused feed
    /// takes the demand away, so that its device could never prove that it is back.
    pub(super) fn last<'a>(
        &self,
        device: DeviceId,
        sold: impl IntoIterator<Item = &'a StreamName>,
    ) -> Option<Sign> {
        let sold: Vec<_> = sold.into_iter().collect();
        let devices = self.0.lock();
        let heard = devices.get(&device)?;
        if !sold.is_empty() && sold.iter().all(|stream| waits_for_demand(stream)) {
            return heard.values().max().copied();
        }
        let signs = sold.iter().filter_map(|stream| heard.get(*stream));
        signs.max().copied()
    }

    /// The latest sign of life of a device, by any of its streams.
    pub(super) fn last_of_any(&self, device: DeviceId) -> Option<Sign> {
        self.0.lock().get(&device)?.values().max().copied()
    }
}

/// Whether a device may keep silent on the stream while nobody watches it.
fn waits_for_demand(stream: &StreamName) -> bool {
    stream.as_str() == StreamName::FRAMES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_sign_of_the_streams_that_are_sold() {
        let heard = Heard::default();
        let device = |number| DeviceId::new([number; 20]);
        let (here, unseen, elsewhere) = (device(1), device(2), device(3));
        let name = |name: &str| name.parse::<StreamName>().unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        heard.note(here, &name("people"), at(1));
        let earlier = ["detections", "people"].map(|stream| (here, name(stream)));
        heard.remember(earlier, at(2));
        heard.remember([(unseen, name("frames"))], at(2));
        heard.note(here, &name("frames"), at(5));
        heard.note(here, &name("status"), at(9));
        for (device, sold, expected) in [
            (here, vec!["detections"], Some((2, Run::Earlier))),
            (here, vec!["people"], Some((1, Run::This))),
            (here, vec!["detections", "status"], Some((9, Run::This))),
            // Pictures wait for somebody to watch: the device speaks by its other streams.
            (here, vec!["frames"], Some((9, Run::This))),
            (here, vec!["detections", "frames"], Some((5, Run::This))),
            // A camera may be dead whose agent still says how it is.
            (here, vec!["frames", "people"], Some((5, Run::This))),
            (unseen, vec!["frames"], Some((2, Run::Earlier))),
            (here, vec!["other"], None),
            (here, vec![], None),
            (elsewhere, vec!["frames"], None),
        ] {
            let names: Vec<_> = sold.iter().map(|stream| name(stream)).collect();
            let expected = expected.map(|(second, since)| Silence {
                length: Duration::from_secs(60 - second),
                since,
            });
            let found = heard.last(device, &names);
            let found = found.map(|sign| sign.silence(at(60)));
            assert_eq!(found, expected, "{device} {sold:?}");
        }
        let of_any = [here, unseen, elsewhere].map(|device| heard.last_of_any(device));
        let lengths = of_any.map(|sign| Some(sign?.silence(at(60)).length.as_secs()));
        assert_eq!(lengths, [Some(51), Some(58), None]);
        heard.forget(here);
        let of_any = [here, unseen].map(|device| heard.last_of_any(device).is_some());
        assert_eq!(of_any, [false, true]);
    }
}
