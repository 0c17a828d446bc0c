//! What goes between memory and disk.

use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::Link;
use super::keeper::Report;
use crate::outbox::Patience;

impl Link {
    /// Brings to the disk what has waited for `patience`.
    pub(super) fn commit(&mut self, patience: Duration) {
        self.keeper.try_to_open();
        if self.keeper.is_idle()
            && let Some(errand) = self.outbox.errand(Instant::now(), patience)
        {
            self.keeper.start(errand);
        }
        self.tell_figures();
    }

    /// Reads on where little is left in memory.
    pub(super) fn read_on(&mut self) {
        if self.keeper.is_idle()
            && let Some(errand) = self.outbox.reading()
        {
            self.keeper.start(errand);
        }
    }

    pub(super) fn settle(&mut self, report: Report) {
        match report {
            Report::Opened(streams) => self.outbox.expect(streams),
            Report::Turned(turned) => self.outbox.settle(turned),
            Report::Failed(errand) => {
                if self.outbox.unsettle(errand, Instant::now()) == Patience::Ended {
                    error!(
                        "the disk cannot be opened: events go without those that an earlier start may have left on it, \
                         which the gateway then takes no more"
                    );
                }
            }
        }
        self.state.is_spool_read = !self.outbox.holds_back();
        self.tell_figures();
    }

    /// Brings everything to the disk, as far as there is one.
    pub(super) async fn keep_the_rest(&mut self) {
        self.parcels.close();
        while let Some(parcel) = self.parcels.recv().await {
            self.publish(parcel);
        }
        while !self.keeper.is_away() {
            if self.keeper.is_idle() {
                match self.outbox.errand(Instant::now(), Duration::ZERO) {
                    Some(errand) if !errand.is_only_reading() => self.keeper.start(errand),
                    _ => return,
                }
            }
            let report = self.keeper.done().await;
            self.settle(report);
        }
    }
}
