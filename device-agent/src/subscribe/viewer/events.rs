//! An event on its way from the socket to whoever reads.

use std::time::Duration;

use ashya_protocol::{DeviceId, Envelope, Event, StreamName};
use tokio::time::Instant;

use super::{Seen, Viewer, VisitError, handed};
use crate::subscribe::news::News;
use crate::subscribe::order::Place;
use crate::subscribe::out::Reason;

/// Time between two writes of the last events to the disk. After a kill those of this time come once more.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Time between two questions to the ledger whether the feed has another device.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Viewer {
    /// Checks an event and hands it on.
    pub(super) async fn take(&mut self, envelope: Envelope) -> Result<Option<Seen>, VisitError> {
        if !self.wants(&envelope.event.stream) {
            self.refuse(&envelope.event, "it is of a stream that was not asked for");
            return Ok(None);
        }
        if !self.is_of(envelope.event.device).await {
            self.refuse(
                &envelope.event,
                "the ledger names another device for this feed",
            );
            return Ok(None);
        }
        let event = match envelope.clone().verify(&self.domain) {
            Ok(event) => event,
            Err(error) => {
                self.refuse(&envelope.event, &error.to_string());
                return Ok(None);
            }
        };
        let Event {
            stream, position, ..
        } = event.event();
        match self.order.place(stream, *position) {
            // Usual after a kill of the gateway or of the device, so not worth a line.
            Place::Old => {
                self.tally.replayed += 1;
                return Ok(None);
            }
            Place::New(None) => {}
            Place::New(Some(missing)) => {
                if let Some(seen) = self.miss(stream, missing, Reason::Untold).await? {
                    return Ok(Some(seen));
                }
            }
        }
        let done = self.out.event(&event, self.plan.voice).await;
        if let Some(seen) = handed(done)? {
            return Ok(Some(seen));
        }
        self.order.accept(stream, *position);
        self.unsaved = true;
        self.tally.events += 1;
        if self
            .plan
            .count
            .is_some_and(|count| self.tally.events >= count)
        {
            return Ok(Some(Seen::Enough));
        }
        if self.saved.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.save()?;
        }
        Ok(None)
    }

    /// Whether a stream was asked for.
    pub(super) fn wants(&self, stream: &StreamName) -> bool {
        let wanted = self.plan.streams.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(stream))
    }

    /// Whether the feed is of this device, by now, as the ledger says: the gateway's word does not move it.
    pub(super) async fn is_of(&mut self, device: DeviceId) -> bool {
        if device == self.device {
            return true;
        }
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return false;
        }
        self.looked = Some(Instant::now());
        let Ok(Some(record)) = self.ledger.feed(self.plan.feed).await else {
            return false;
        };
        if record.device != device {
            return false;
        }
        self.plan.voice.tell(&News::Moved { device });
        self.device = device;
        // Another device has numbers of its own.
        self.order.clear();
        true
    }

    fn refuse(&mut self, event: &Event, reason: &str) {
        self.tally.refused += 1;
        self.plan.voice.tell(&News::Dropped {
            reason: reason.to_owned(),
            stream: event.stream.clone(),
            boot: event.position.boot.get(),
            seq: event.position.seq.get(),
        });
    }
}
