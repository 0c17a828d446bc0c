use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What happened to the source since the agent started: a cheap handle that capture writes and others read.
///
/// Each is a total that never falls; as Prometheus metrics they are `ashya_agent_source_<name>_total`.
#[derive(Debug, Clone, Default)]
pub struct SourceCounters(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    frames: AtomicU64,
    dropped: AtomicU64,
    stalls: AtomicU64,
    reconnects: AtomicU64,
    decode_errors: AtomicU64,
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFigures {
    /// Frames that the source gave, those dropped later included.
    pub frames: u64,
    /// Frames that a newer one replaced before anybody looked at them: the model is slower than the source.
    pub dropped: u64,
    /// Times that the source gave no whole picture for as long as the watchdog waits, and was closed.
    pub stalls: u64,
    /// Times that the source was opened again after it had ended, failed or stalled.
    pub reconnects: u64,
    /// Pictures that came damaged and were skipped; ffmpeg conceals damage instead, and skips none.
    pub decode_errors: u64,
}

impl SourceCounters {
    /// The totals now.
    pub fn read(&self) -> SourceFigures {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        SourceFigures {
            frames: load(&self.0.frames),
            dropped: load(&self.0.dropped),
            stalls: load(&self.0.stalls),
            reconnects: load(&self.0.reconnects),
            decode_errors: load(&self.0.decode_errors),
        }
    }

    pub(crate) fn frame(&self) {
        add(&self.0.frames);
    }

    pub(crate) fn dropped(&self) {
        add(&self.0.dropped);
    }

    pub(crate) fn stall(&self) {
        add(&self.0.stalls);
    }

    pub(crate) fn reconnect(&self) {
        add(&self.0.reconnects);
    }

    pub(crate) fn decode_error(&self) {
        add(&self.0.decode_errors);
    }
}

fn add(total: &AtomicU64) {
    total.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_handle_counts_into_the_same_totals() {
        let counters = SourceCounters::default();
        let writer = counters.clone();
        for (times, count) in (1..).zip([
            SourceCounters::frame as fn(&SourceCounters),
            SourceCounters::dropped,
            SourceCounters::stall,
            SourceCounters::reconnect,
            SourceCounters::decode_error,
        ]) {
            (0..times).for_each(|_| count(&writer));
        }
        let figures = SourceFigures {
            frames: 1,
            dropped: 2,
            stalls: 3,
            reconnects: 4,
            decode_errors: 5,
        };
        assert_eq!(counters.read(), figures);
        assert_eq!(
            serde_json::to_string(&figures).unwrap(),
            r#"{"frames":1,"dropped":2,"stalls":3,"reconnects":4,"decodeErrors":5}"#
        );
    }
}
