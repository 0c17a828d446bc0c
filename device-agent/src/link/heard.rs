//! What the broker says, and what follows from it.

use ashya_protocol::{Notice, Position, Topic};
use rumqttc::{Event, Incoming, Outgoing, Publish};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Link;
use super::notices::Sent;

impl Link {
    pub(super) fn heard(&mut self, event: Event) {
        match event {
            // Packet 0 is one that nobody acknowledges. At worst it is our presence, and a picture goes a moment early.
            Event::Outgoing(Outgoing::Publish(0)) => self.pictures.written(),
            Event::Outgoing(Outgoing::Publish(packet)) => {
                self.outbox.written(packet, Instant::now());
            }
            Event::Incoming(Incoming::PubAck(ack)) => self.delivered(ack.pkid),
            Event::Incoming(Incoming::Publish(message)) => self.commanded(&message),
            _ => {}
        }
    }

    fn delivered(&mut self, packet: u16) {
        if self.outbox.acknowledged(packet) && !self.published {
            self.published = true;
            info!(device.id = %self.device(), "publishing: the first event is acknowledged");
        }
    }

    pub(super) fn commanded(&mut self, message: &Publish) {
        match message.topic.parse() {
            Ok(Topic::Demand(device)) if device == self.device() => {
                if let Err(error) = self.demand.update(&message.payload) {
                    warn!(%error, "the gateway's demand makes no sense");
                }
                debug!(demand = ?self.demand, "somebody else watches");
            }
            Ok(Topic::Notice(device)) if device == self.device() => {
                match serde_json::from_slice::<Notice>(&message.payload) {
                    Ok(notice) => self.noticed(&notice),
                    Err(error) => warn!(%error, "the gateway's notice makes no sense"),
                }
            }
            _ => warn!(topic = message.topic, "message on a topic that is not ours"),
        }
    }

    /// The gateway refuses an event for good.
    fn noticed(&mut self, notice: &Notice) {
        let position = notice.boot.zip(notice.seq);
        let position = position.map(|(boot, seq)| Position { boot, seq });
        let again = position.is_some_and(|position| {
            let Notice { stream, reason, .. } = notice;
            self.outbox.refused(stream, position, reason)
        });
        let sent = if again { Sent::Again } else { Sent::Once };
        self.notices.hear(notice, sent, Instant::now());
    }
}
