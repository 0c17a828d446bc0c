//! How much history holds, and of whom.

use std::collections::{BTreeMap, HashMap};

use super::keys;

/// Bytes of kept events, stream by stream.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    total: u64,
    /// By what all keys of a stream begin with.
    streams: BTreeMap<Vec<u8>, u64>,
}

impl Sizes {
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn add(&mut self, stream: &[u8], bytes: u64) {
        self.total += bytes;
        match self.streams.get_mut(stream) {
            Some(size) => *size += bytes,
            None => drop(self.streams.insert(stream.to_vec(), bytes)),
        }
    }

    pub(super) fn take(&mut self, stream: &[u8], bytes: u64) {
        let Some(size) = self.streams.get_mut(stream) else {
            return;
        };
        let bytes = bytes.min(*size);
        self.total -= bytes;
        *size -= bytes;
        if *size == 0 {
            self.streams.remove(stream);
        }
    }

    /// The largest stream of the device that takes the most.
    pub(super) fn largest(&self) -> Option<&[u8]> {
        let mut devices = HashMap::<_, (u64, (u64, &[u8]))>::new();
        for (stream, &bytes) in &self.streams {
            let (total, largest) = devices.entry(keys::device(stream)).or_default();
            *total += bytes;
            *largest = (*largest).max((bytes, stream));
        }
        let largest = devices.into_values().max()?;
        let (_, (_, stream)) = largest;
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(device: u8, name: &str) -> Vec<u8> {
        [&[device; 20], name.as_bytes(), &[0]].concat()
    }

    #[test]
    fn the_device_counts_before_its_streams() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.largest(), None);
        for (device, name, bytes) in [(1, "a", 60), (2, "a", 50), (2, "b", 30), (1, "a", 10)] {
            sizes.add(&stream(device, name), bytes);
        }
        assert_eq!(sizes.largest(), Some(&*stream(2, "a")));
        sizes.take(&stream(2, "a"), 25);
        assert_eq!(sizes.largest(), Some(&*stream(1, "a")));
        assert_eq!(sizes.total(), 125);
        // More than there is, and what is not there.
        sizes.take(&stream(1, "a"), 1_000);
        sizes.take(&stream(3, "a"), 1_000);
        assert_eq!(sizes.total(), 55);
        assert_eq!(sizes.largest(), Some(&*stream(2, "b")));
    }
}
