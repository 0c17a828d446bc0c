use std::collections::HashMap;
use std::time::Duration;

use ashya_protocol::{Boot, Notice, Seq, StreamName};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::data::unix_seconds;

/// Time between two lines about refusals of one kind: one of them for each event would bury everything else.
const QUIET: Duration = Duration::from_secs(60);
/// Kinds of refusals that are told apart in that time; more than streams times reasons.
const KINDS: usize = 512;
/// Characters of a reason that are told; those that there are have one word.
const REASON_CHARS: usize = 64;

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
        let stream = &notice.stream;
        let reason: &String = &notice.reason.chars().take(REASON_CHARS).collect();
        let (boot, seq) = (notice.boot.map(Boot::get), notice.seq.map(Seq::get));
        if sent == Sent::Again && reason == "replayed" {
            debug!(%stream, boot, seq, "the gateway has this event already");
            return;
        }
        let key = (stream.clone(), reason.clone());
        let is_quiet = |told: &mut Instant| now.duration_since(*told) < QUIET;
        let is_told = self.told.get_mut(&key).is_some_and(is_quiet);
        if self.told.len() >= KINDS {
            self.told.retain(|_, told| is_quiet(told));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(reason: &str) -> Notice {
        Notice {
            stream: "a".parse().unwrap(),
            boot: None,
            seq: None,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn a_minute_after_too_many_kinds_refusals_are_told_again() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        for kind in 0..2 * KINDS {
            notices.hear(&notice(&format!("r{kind}")), Sent::Once, start);
        }
        assert_eq!(notices.told.len(), KINDS);
        assert_eq!(notices.untold, KINDS as u64);
        let endless = "€".repeat(20_000);
        notices.hear(&notice(&endless), Sent::Once, start + QUIET);
        let told: Vec<_> = notices.told.keys().collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1.chars().count(), REASON_CHARS);
        assert_eq!(notices.untold, 0);
    }
}
