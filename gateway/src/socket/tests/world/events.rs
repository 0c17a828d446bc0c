//! What the device of a world sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{FEED, SECOND_FEED, START, World};
use crate::hub::tests::message;
use crate::hub::{Hub, Moment};
use crate::positions::Keep;
use crate::stream::Gap;

impl World {
    /// Publishes more than the kernel's buffers take, in pictures, of which a reader who stands still gets some.
    pub(crate) async fn publish_flood(&self, pictures: u64) {
        for seq in 0..pictures {
            self.publish_sized("frames", seq, 200_000);
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Publishes a small event of boot 3 while the feeds' clocks run, and gives back its envelope.
    pub(crate) fn publish(&self, stream: &str, seq: u64) -> Bytes {
        self.publish_with(stream, seq, 10, self.running())
    }

    pub(crate) fn publish_sized(&self, stream: &str, seq: u64, bytes: usize) {
        self.publish_with(stream, seq, bytes, self.running());
    }

    /// Publishes an event while the first feed's clock stands still.
    pub(crate) fn publish_held(&self, stream: &str, seq: u64) {
        let mut moment = self.running();
        moment.feed_times.retain(|(feed, _)| *feed != FEED);
        moment.paused.push(FEED);
        self.publish_with(stream, seq, 10, moment);
    }

    /// Publishes an event that was accepted at a feed time of both feeds.
    pub(crate) fn publish_at(&self, stream: &str, seq: u64, feed_time: u64) {
        let moment = Moment {
            at: START + feed_time,
            feed_times: vec![(FEED, feed_time), (SECOND_FEED, feed_time)],
            paused: Vec::new(),
        };
        self.publish_with(stream, seq, 10, moment);
    }

    /// Publishes an event each millisecond, numbered by the milliseconds since the start, until `extra` after a Unix
    /// second.
    pub(crate) fn publish_milliseconds_until(&self, unix: u64, extra: Duration) -> JoinHandle<()> {
        let (hub, started, now_of) = (self.parts.hub.clone(), self.started, self.now());
        let moment = self.running();
        let end = Duration::from_secs(unix - START) + extra;
        tokio::task::spawn_blocking(move || {
            let mut last = 0;
            while started.elapsed() < end {
                let now = started.elapsed().as_millis() as u64;
                if now > last {
                    let message = message("detections", 3, now, 10, moment.clone());
                    hub.publish(&[Arc::new(message)], &now_of);
                    last = now;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        })
    }

    /// Publishes an event before which numbers are missing that never reached the gateway.
    pub(crate) fn publish_after_loss(&self, (from, to): (u64, u64), stream: &str, seq: u64) {
        let [from, to] = [from, to].map(|seq| seq.try_into().unwrap());
        let message = message(stream, 3, seq, 10, self.running()).after(Gap { from, to });
        self.parts.hub.publish(&[Arc::new(message)], self.now());
    }

    /// Publishes an event of so many bytes that was accepted at a moment.
    pub(crate) fn publish_with(
        &self,
        stream: &str,
        seq: u64,
        bytes: usize,
        moment: Moment,
    ) -> Bytes {
        let message = message(stream, 3, seq, bytes, moment);
        let envelope = message.envelope();
        let stream = &message.key().stream;
        if self.positions.kept().keeps(stream) {
            let moment = message.moment();
            let keep = Keep {
                at: moment.at,
                feeds: vec![FEED, SECOND_FEED],
                envelope: envelope.clone(),
                room: None,
            };
            let (device, position) = (message.key().device, message.position());
            let taken = self.positions.accept(device, stream, position, Some(keep));
            taken.unwrap();
        }
        self.parts.hub.publish(&[Arc::new(message)], self.now());
        envelope
    }

    /// Forgets what is in memory, as a restart does. Only for viewers without a connection.
    pub(crate) async fn forget_memory(&mut self) {
        assert!(self.positions.settled().await);
        self.parts.hub = Hub::new(self.parts.metrics.clone());
        self.parts.hub.remember(self.positions.all());
    }

    fn running(&self) -> Moment {
        let now = self.parts.clock.now_seconds() - START;
        Moment {
            at: START + now,
            feed_times: vec![(FEED, now), (SECOND_FEED, now)],
            paused: Vec::new(),
        }
    }
}
