use std::collections::HashMap;
use std::time::Duration;

use ashya_protocol::{Boot, Notice, Seq, StreamName};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::data::unix_seconds;

/// Time between two lines about refusals of one kind: one of them for each event would bury everything else.
const QUIET: Duration = Duration::from_secs(60);
/// Kinds of refusals that are told apart; more than streams times reasons.
const KINDS: usize = 512;

/// Tells the log what the gateway refuses, and what to do about it.
#[derive(Debug, Default)]
pub(super) struct Notices {
    told: HashMap<(StreamName, String), Instant>,
    /// Refusals that the log has not heard of.
    untold: u64,
}

/// Whether the gateway may have had an event before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Once,
    Again,
}

impl Notices {
    pub(super) fn hear(&mut self, notice: &Notice, sent: Sent, now: Instant) {
        let Notice { stream, reason, .. } = notice;
        let (boot, seq) = (notice.boot.map(Boot::get), notice.seq.map(Seq::get));
        if sent == Sent::Again && reason == "replayed" {
            debug!(%stream, boot, seq, "the gateway has this event already");
            return;
        }
        let key = (stream.clone(), reason.clone());
        let is_told = self
            .told
            .get(&key)
            .is_some_and(|told| now.duration_since(*told) < QUIET);
        if is_told || self.told.len() >= KINDS {
            self.untold += 1;
            return;
        }
        self.told.insert(key, now);
        let others = std::mem::take(&mut self.untold);
        match advice(reason) {
            Some(advice) => {
                let clock = unix_seconds();
                error!(%stream, boot, seq, reason, clock, others, "the gateway refused an event: {reason}: {advice}");
            }
            None => {
                warn!(%stream, boot, seq, reason, others, "the gateway refused an event: {reason}");
            }
        }
    }
}

/// What people can do about it.
fn advice(reason: &str) -> Option<&'static str> {
    match reason {
        "future" => Some(
            "this device's clock was more than a day fast when it started. Set the clock, remove the file `boot` from \
             the data folder, and start again",
        ),
        "replayed" => Some(
            "it has later events of this device. Stop the other copy of its key; after the data folder was lost or put \
             back from a copy, set the clock and start again",
        ),
        "signature" => Some("this device signs for another ledger than the gateway's"),
        "blocked" => Some("the gateway's operator has blocked this device"),
        _ => None,
    }
}
