//! What goes from the link to the MQTT client.

use ashya_protocol::{StreamName, Topic};
use rumqttc::{AsyncClient, QoS};
use tokio::time::Instant;

use super::Link;
use crate::uplink::Parcel;

impl Link {
    /// Hands over what is due, as much as may be under way. Gives back when to come again, where the pace says so.
    ///
    /// A client that takes no more gets it later: one that is full tells of each packet that it writes, and then we
    /// come again; one that has ended tells that.
    pub(super) fn flush(&mut self, client: &AsyncClient) -> Option<Instant> {
        let device = self.device();
        // The picture first: who gets the detections can then draw at once.
        while let Some(due) = self.pictures.due() {
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            if client
                .try_publish(topic, QoS::AtMostOnce, false, due.envelope.clone())
                .is_err()
            {
                return None;
            }
            self.pictures.handed();
        }
        while let Some(due) = self.outbox.due() {
            let now = Instant::now();
            if let Err(later) = self.pace.check(now) {
                return Some(later);
            }
            let topic = Topic::Up(device, due.stream.clone()).to_string();
            // Who comes to the device's own broker later finds the last one.
            let retain = due.stream.as_str() == StreamName::STATUS;
            if client
                .try_publish(topic, QoS::AtLeastOnce, retain, due.envelope.clone())
                .is_err()
            {
                return None;
            }
            self.outbox.handed();
            self.pace.note(now);
        }
        None
    }

    pub(super) fn publish(&mut self, parcel: Parcel) {
        if let Some(picture) = parcel.picture {
            if self.settings.pictures {
                self.outbox.push(picture, None, Instant::now());
            } else {
                self.pictures.push(picture);
                if !self.state.is_connected {
                    self.pictures.clear();
                }
            }
        }
        let mut events = parcel.events;
        let last = events.pop();
        for event in events {
            self.outbox.push(event, None, Instant::now());
        }
        if let Some(event) = last {
            self.outbox.push(event, parcel.receipt, Instant::now());
        }
    }
}
