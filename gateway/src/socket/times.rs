use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{PING_INTERVAL, STALE_AFTER};
use crate::chain_clock::wall_instant_of;

/// When a socket has to do something of its own accord.
#[derive(Debug)]
pub(super) struct Times {
    session_ends: Instant,
    heard: Instant,
    ping: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Times {
    /// The times of a socket whose session ends at a Unix second.
    pub(super) fn new(session_ends: u64) -> Self {
        let now = Instant::now();
        let session_ends = wall_instant_of(session_ends);
        let ping = now + PING_INTERVAL;
        Self {
            session_ends,
            heard: now,
            ping,
            timer: Box::pin(sleep_until(ping.min(session_ends))),
        }
    }

    /// When the session ends.
    pub(super) const fn session_ends(&self) -> Instant {
        self.session_ends
    }

    /// The session goes on until a Unix second.
    pub(super) fn renew(&mut self, session_ends: u64) {
        self.session_ends = wall_instant_of(session_ends);
        self.set_timer();
    }

    /// The client has shown that it is there.
    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) fn is_stale(&self) -> bool {
        self.heard.elapsed() >= STALE_AFTER
    }

    /// Waits until something is due.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(context)
    }

    /// Whether to ping now, and when the next time.
    pub(super) fn ping_is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.ping;
        if due {
            self.ping = now + PING_INTERVAL;
        }
        self.set_timer();
        due
    }

    fn set_timer(&mut self) {
        let next = self.ping.min(self.session_ends);
        self.timer.as_mut().reset(next);
    }
}

const _: () = assert!(
    PING_INTERVAL.as_secs() * 2 < STALE_AFTER.as_secs(),
    "a client must get two pings before it counts as gone"
);
