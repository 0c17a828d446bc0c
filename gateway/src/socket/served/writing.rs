use ashya_protocol::ws::CloseCode;
use tokio::time::Instant;

use super::Served;
use crate::hub::Begun;
use crate::socket::end::End;
use crate::socket::limits::{BATCH_BYTES, BATCH_MESSAGES};
use crate::socket::{Batch, Outgoing, Step, Viewer};

/// How a batch was left.
enum Filled {
    /// Nothing waits any more.
    Drained,
    /// The batch is full.
    Full,
    /// The client stayed behind for too long.
    TooSlow,
}

impl Served {
    /// Writes what waits, many messages in one go; `true` when nothing waits any more.
    ///
    /// Access is asked for each event right before they are handed to the kernel together, and while that is blocked.
    pub(super) async fn write(&mut self) -> Result<bool, End> {
        if let Some(code) = self.viewer.over() {
            return Err(End::Close(code));
        }
        if Instant::now() >= self.times.session_ends() {
            return Err(End::Close(CloseCode::Unauthorized));
        }
        let (mut batch, filled) = match self.viewer.take_begun() {
            Some(begun) => (self.go_on(begun)?, Filled::Full),
            None => self.fill(),
        };
        if !self.line.is_flushed() {
            // Boxed, since most sockets hardly ever come here.
            let write = Box::pin(self.viewer.carry(&mut batch, self.line.flush()));
            match write.await {
                Some(Ok(())) => self.count(&batch),
                Some(Err(_)) => return Err(End::Gone),
                None => return Err(self.viewer.over().map_or(End::Gone, End::Close)),
            };
        }
        match filled {
            // While it was blocked, what the ledger said may have left something to tell.
            Filled::Drained => Ok(self.viewer.is_caught_up()),
            Filled::Full => Ok(false),
            Filled::TooSlow => Err(End::Close(CloseCode::TooSlow)),
        }
    }

    /// Lays out what was begun past the task. Bytes cannot be called back, so the connection is given up when it may no
    /// longer be seen.
    fn go_on(&mut self, begun: Begun) -> Result<Batch, End> {
        self.viewer.look_at_changed();
        let now = self.viewer.read_clock();
        let mut batch = Batch::new(now, Some(self.times.session_ends()));
        self.line
            .push_begun(&begun.events, self.encoding, begun.written);
        for event in begun.events {
            batch.add(event, Viewer::grant_of(&begun.pass), now);
        }
        if batch.renew(&self.viewer) {
            Ok(batch)
        } else {
            Err(End::Gone)
        }
    }

    /// Lays out what waits, up to a batch.
    fn fill(&mut self) -> (Batch, Filled) {
        let now = self.viewer.read_clock();
        let mut batch = Batch::new(now, Some(self.times.session_ends()));
        let (mut messages, mut bytes) = (0, 0);
        while messages < BATCH_MESSAGES && bytes < BATCH_BYTES {
            match self.viewer.next(now) {
                Step::Write(Outgoing::Event(event), Some(grant)) => {
                    bytes += event.bytes();
                    self.line.push_event(event.clone(), self.encoding);
                    batch.add(event, grant, now);
                }
                Step::Write(Outgoing::Control(message), _) => self.line.push_message(&message),
                // An event without a grant is none.
                Step::Write(Outgoing::Event(_), None) => {}
                Step::Idle => return (batch, Filled::Drained),
                Step::TooSlow => return (batch, Filled::TooSlow),
            }
            messages += 1;
        }
        (batch, Filled::Full)
    }

    fn count(&self, batch: &Batch) {
        self.parts.metrics.events_delivered.inc_by(batch.events());
    }
}
