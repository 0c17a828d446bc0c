//! The short way to a socket whose task waits: whoever brings the events writes them.
//!
//! Waking a task for every event costs about as much as writing the event. So a task that waits leaves a [`Pass`]: what
//! it may be given, as long as nothing changes. Whatever the pass does not cover, and what cannot be written at once, is
//! left to the task.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::FeedId;
use tokio::time::Instant;

use super::parcel::Parcel;
use super::{Encoding, Message};
use crate::chain_clock::{CUT_MARGIN, Reading};
use crate::ledger_index::LedgerVersion;
use crate::tcp::Tcp;

/// Seconds for which no thread is stopped on a machine that does its work.
const NEAR: u64 = 2;

/// The time and the state of the ledger, by which access is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) clock: Reading,
    pub(crate) ledger: LedgerVersion,
}

/// The right of a socket to the events of one feed, as long as the ledger stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) feed: FeedId,
    /// Half-open window of feed time that is paid; none for the owner, who pays nothing.
    pub(crate) paid: Option<(u64, u64)>,
    /// Unix second of chain time at which it ends, if one is known.
    pub(crate) until: Option<u64>,
    /// When the wallet's session ends.
    pub(crate) session_ends: Instant,
    /// The ledger by which it was given.
    pub(crate) ledger: LedgerVersion,
}

/// The connection of one socket.
#[derive(Debug)]
pub(super) struct Lane {
    tcp: Tcp,
    encoding: Encoding,
}

/// Events of which a lane has written only a part: the task goes on with them before all else.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) events: Vec<Arc<Message>>,
    /// Bytes of them that are out.
    pub(crate) written: usize,
    /// By which they were written.
    pub(crate) pass: Pass,
}

/// What became of a parcel.
#[derive(Debug)]
pub(super) enum Sent {
    All,
    /// All, but only after the right to it had ended: the system has stopped the thread in between.
    Late,
    Part(Begun),
    Nothing,
}

impl Pass {
    /// Whether all events of a parcel may be written now. What is missing before them has to be told, which only the task
    /// does.
    fn admits(&self, parcel: &Parcel, now: Now) -> bool {
        let paid = |paid| parcel.is_within(self.feed, paid);
        !parcel.has_gap()
            && self.ledger == now.ledger
            && now.clock.at() < self.session_ends
            && self.paid.is_none_or(paid)
            && !self.ends_within(CUT_MARGIN, now)
    }

    /// Whether the right ends so soon, or has ended. Where that may be, the clock is looked at again: of a crowd that is
    /// written to by one `now`, the system may stop the thread before any.
    fn ends_within(&self, margin: Duration, now: Now) -> bool {
        let near = self
            .until
            .filter(|until| !now.clock.is_before(until.saturating_sub(NEAR)));
        near.is_some_and(|until| Instant::now() + margin >= now.clock.instant_of(until))
    }
}

impl Lane {
    pub(super) const fn new(tcp: Tcp, encoding: Encoding) -> Self {
        Self { tcp, encoding }
    }

    /// Has the processor fetch what a write looks at first.
    pub(super) fn fetch(&self) {
        black_box(self.tcp.as_raw_fd());
    }

    /// Writes a parcel, as far as the kernel takes it at once.
    pub(super) fn send(&self, parcel: &Parcel, pass: &Pass, now: Now) -> Sent {
        if !pass.admits(parcel, now) {
            return Sent::Nothing;
        }
        let frames = parcel.frames(self.encoding);
        // What is wrong with the connection, its task will find too.
        match self.tcp.send_now(frames).unwrap_or(0) {
            0 => Sent::Nothing,
            written if written == frames.len() && pass.ends_within(Duration::ZERO, now) => {
                Sent::Late
            }
            written if written == frames.len() => Sent::All,
            written => Sent::Part(Begun {
                events: parcel.events().to_vec(),
                written,
                pass: *pass,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ashya_protocol::rest::Head;

    use super::*;
    use crate::chain_clock::{ChainClock, ClockSource, Freshness};
    use crate::hub::Moment;
    use crate::hub::tests::{DOMAIN, message};
    use crate::ledger_index::LedgerIndex;

    fn parcel(moment: Moment) -> Parcel {
        Parcel::new(&[Arc::new(message("detections", 3, 0, 10, moment))])
    }

    #[test]
    fn a_pass_holds_only_as_long_as_nothing_changes() {
        let (feed, other) = (FeedId::new([1; 32]), FeedId::new([2; 32]));
        let freshness = Freshness {
            max_silence: Duration::ZERO,
            max_head_age: None,
        };
        let clock = ChainClock::new(ClockSource::Wall, freshness).read();
        let second = clock.time.as_secs();
        let (ledger, later) = (LedgerVersion::default(), LedgerVersion::default().next());
        assert_eq!(LedgerIndex::new(DOMAIN).version(), ledger);
        let session_ends = clock.at() + Duration::from_secs(60);
        let pass = Pass {
            feed,
            paid: Some((100, 200)),
            until: Some(second + 60),
            session_ends,
            ledger,
        };
        for (what, pass, (from, time), ledger, admitted) in [
            ("the first second paid", pass, (feed, 100), ledger, true),
            ("the last second paid", pass, (feed, 199), ledger, true),
            ("before what is paid", pass, (feed, 99), ledger, false),
            ("after what is paid", pass, (feed, 200), ledger, false),
            ("another feed's time", pass, (other, 150), ledger, false),
            ("a later ledger", pass, (feed, 150), later, false),
            (
                "the owner",
                Pass {
                    paid: None,
                    until: None,
                    ..pass
                },
                (feed, 1),
                ledger,
                true,
            ),
            (
                "the end of access",
                Pass {
                    until: Some(second),
                    ..pass
                },
                (feed, 150),
                ledger,
                false,
            ),
            (
                "the end of the session",
                Pass {
                    session_ends: clock.at(),
                    ..pass
                },
                (feed, 150),
                ledger,
                false,
            ),
        ] {
            let moment = Moment {
                at: 0,
                feed_times: vec![(from, time)],
                paused: Vec::new(),
            };
            let parcel = parcel(moment);
            let now = Now { clock, ledger };
            assert_eq!(pass.admits(&parcel, now), admitted, "{what}");
        }
    }

    #[test]
    fn a_thread_that_was_stopped_since_it_has_read_the_clock_writes_nothing_late() {
        let freshness = Freshness {
            max_silence: Duration::ZERO,
            max_head_age: None,
        };
        let clock = ChainClock::new(ClockSource::Head, freshness);
        let head = Head {
            number: 1,
            timestamp: 1_000,
        };
        let seen = Instant::now() - Duration::from_millis(950);
        clock.saw(head, seen).unwrap();
        let now = Now {
            clock: clock.read(),
            ledger: LedgerVersion::default(),
        };
        let pass = Pass {
            feed: FeedId::new([1; 32]),
            paid: None,
            until: Some(1_001),
            session_ends: now.clock.at() + Duration::from_secs(60),
            ledger: now.ledger,
        };
        let parcel = parcel(Moment::default());
        std::thread::sleep(Duration::from_millis(50));
        assert!(!pass.admits(&parcel, now));
        let until = Some(1_010);
        assert!(Pass { until, ..pass }.admits(&parcel, now));
    }
}
