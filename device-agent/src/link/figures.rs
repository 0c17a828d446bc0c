use std::sync::{Arc, Mutex, PoisonError};

use crate::outbox::Tally;
use crate::spool::Held;

/// How the link is doing, for whoever tells of it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkFigures(Arc<Mutex<LinkState>>);

/// The figures at one moment; counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// Whether there is a connection to the broker.
    pub(crate) is_connected: bool,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// Whether it is known what an earlier start has left, or nobody waits for it any more.
    pub(crate) is_spool_read: bool,
    /// Events that are in memory alone.
    pub(crate) in_memory: u64,
    /// What the spool holds.
    pub(crate) held: Held,
    /// Whether the disk takes no events.
    pub(crate) is_disk_away: bool,
    /// What became of events.
    pub(crate) tally: Tally,
    /// Pictures that were not sent, since nobody could take them.
    pub(crate) dropped_frames: u64,
}

impl LinkFigures {
    pub(crate) fn read(&self) -> LinkState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, state: LinkState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
