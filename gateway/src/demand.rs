//! Which streams of a device somebody watches, so that a camera uploads pictures only when somebody pays.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ashya_protocol::{Demand, DeviceId, StreamName};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Counts the watchers of each stream and tells each device what is wanted of it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct DemandBoard(Arc<Mutex<HashMap<DeviceId, Wanted>>>);

#[derive(Debug, Default)]
struct Wanted {
    watchers: BTreeMap<StreamName, usize>,
    told: watch::Sender<Demand>,
}

/// The payload of `…/down/demand`: `{"streams":["detections"]}`.
pub(crate) fn to_json(demand: &Demand) -> String {
    // Names and lists always have a JSON form.
    serde_json::to_string(demand).unwrap_or_else(|_| r#"{"streams":[]}"#.to_owned())
}

impl DemandBoard {
    /// One more watcher of a stream.
    pub(crate) fn add(&self, device: DeviceId, stream: &StreamName) {
        let mut board = self.0.lock();
        let wanted = board.entry(device).or_default();
        *wanted.watchers.entry(stream.clone()).or_default() += 1;
        wanted.tell();
    }

    /// One watcher fewer.
    pub(crate) fn remove(&self, device: DeviceId, stream: &StreamName) {
        let mut board = self.0.lock();
        let Some(wanted) = board.get_mut(&device) else {
            return;
        };
        if let Some(count) = wanted.watchers.get_mut(stream) {
            *count -= 1;
            if *count == 0 {
                wanted.watchers.remove(stream);
            }
        }
        wanted.tell();
        forget_idle(&mut board, device);
    }

    /// What is wanted of a device, now and from now on.
    pub(crate) fn of(&self, device: DeviceId) -> watch::Receiver<Demand> {
        self.0.lock().entry(device).or_default().told.subscribe()
    }

    /// Forgets a device that is neither watched nor listening.
    pub(crate) fn release(&self, device: DeviceId) {
        forget_idle(&mut self.0.lock(), device);
    }
}

impl Wanted {
    fn tell(&self) {
        let streams = self.watchers.keys().cloned().collect();
        self.told.send_if_modified(|told| {
            let changed = told.streams != streams;
            told.streams = streams;
            changed
        });
    }
}

fn forget_idle(board: &mut HashMap<DeviceId, Wanted>, device: DeviceId) {
    let idle = |wanted: &Wanted| wanted.watchers.is_empty() && wanted.told.receiver_count() == 0;
    if board.get(&device).is_some_and(idle) {
        board.remove(&device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(told: &mut watch::Receiver<Demand>) -> Vec<String> {
        let demand = told.borrow_and_update();
        demand.streams.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_device_is_told_only_when_the_set_changes() {
        let board = DemandBoard::default();
        let device = DeviceId::new([1; 20]);
        let [detections, frames] = ["detections", "frames"].map(|name| name.parse().unwrap());
        let mut told = board.of(device);
        assert!(streams(&mut told).is_empty());
        board.add(device, &frames);
        assert!(told.has_changed().unwrap());
        assert_eq!(to_json(&told.borrow()), r#"{"streams":["frames"]}"#);
        assert_eq!(streams(&mut told), ["frames"]);
        board.add(device, &frames);
        assert!(!told.has_changed().unwrap());
        board.add(device, &detections);
        board.remove(device, &frames);
        assert_eq!(streams(&mut told), ["detections", "frames"]);
        board.remove(device, &frames);
        assert_eq!(streams(&mut told), ["detections"]);
        board.remove(device, &detections);
        assert!(streams(&mut told).is_empty());
        drop(told);
        board.release(device);
        assert!(board.0.lock().is_empty());
    }
}
