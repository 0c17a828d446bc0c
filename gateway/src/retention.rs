//! What history keeps, and why it lets something go.

use std::collections::BTreeSet;
use std::time::Duration;

use ashya_protocol::StreamName;

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// The streams of every device that are kept.
    pub streams: BTreeSet<StreamName>,
    /// For how long; nothing is kept when zero.
    pub age: Duration,
    /// Most bytes of all events.
    pub max_bytes: u64,
}

/// Why events were pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Prune {
    /// They were too old.
    Age,
    /// There was too much.
    Size,
}

impl Retention {
    /// Whether a stream is kept.
    pub(crate) fn keeps(&self, stream: &StreamName) -> bool {
        !self.age.is_zero() && self.streams.contains(stream)
    }
}

impl Prune {
    /// Every reason.
    pub(crate) const ALL: [Self; 2] = [Self::Age, Self::Size];

    /// The reason as metrics name it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }

    /// The Unix second before which events are too old.
    pub(crate) const fn cutoff(now: u64, age: Duration) -> u64 {
        now.saturating_sub(age.as_secs())
    }
}
