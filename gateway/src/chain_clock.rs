//! The time by which access is decided.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ashya_protocol::rest::Head;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::defaults::{CLOCK_STEP, HEAD_BACKWARD_TOLERANCE, HEAD_TOLERANCE};

/// An event is not written this shortly before access ends, since the write could end after it.
pub(crate) const CUT_MARGIN: Duration = Duration::from_millis(10);

/// Which clock decides about access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The later of the wall clock and the chain's; a head far ahead of the wall clock is not believed.
    #[default]
    Wall,
    /// The chain's alone, for local chains whose time is moved.
    Head,
}

/// A head whose timestamp is further ahead of the wall clock than a chain's rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block {number} is {ahead_seconds} s ahead of the wall clock")]
pub struct HeadFromTheFuture {
    /// Its height.
    pub number: u64,
    /// How far ahead, in seconds.
    pub ahead_seconds: u64,
}

/// What the clock has shown at an instant: one look for many decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Time since the Unix epoch.
    pub(crate) time: Duration,
    at: Instant,
}

/// How long the view of the chain may go without news before it no longer counts as current.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// Longest time since the node was last heard from.
    pub max_silence: Duration,
    /// Longest time since the head's own timestamp; `None` where blocks come only with transactions.
    pub max_head_age: Option<Duration>,
}

/// The chain's time: `max(wall clock, head timestamp + time since it was seen)`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainClock {
    source: ClockSource,
    freshness: Freshness,
    state: Arc<RwLock<State>>,
    moved: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    /// Time of the chain at an instant, from the best head so far.
    anchor: Option<(Duration, Instant)>,
    head: Option<Head>,
    /// When the node last answered.
    heard: Option<Instant>,
    /// What the clock would have shown at its last look, to notice steps of the wall clock.
    last: Option<(Duration, Instant)>,
}

impl ChainClock {
    /// A clock that has seen no head yet.
    pub fn new(source: ClockSource, freshness: Freshness) -> Self {
        Self {
            source,
            freshness,
            state: Arc::default(),
            moved: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Time since the Unix epoch by which access is decided.
    pub fn now(&self) -> Duration {
        self.read().time
    }

    /// [`Self::now`], for many decisions at once.
    pub(crate) fn read(&self) -> Reading {
        let anchor = self.state.read().anchor;
        let at = Instant::now();
        let time = reading(self.source, anchor, wall_clock(), at);
        Reading { time, at }
    }

    /// [`Self::now`] in whole seconds.
    pub fn now_seconds(&self) -> u64 {
        self.now().as_secs()
    }

    /// The instant at which this clock shows the Unix second `unix`; now, when it is past. Ask again after
    /// [`Self::moved`].
    pub fn instant_of(&self, unix: u64) -> Instant {
        self.read().instant_of(unix)
    }

    /// Changes whenever the clock was moved by more than its own running: instants of [`Self::instant_of`] are
    /// then out of date.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Whether the view of the chain is fresh enough to decide about access.
    pub fn is_current(&self) -> bool {
        let state = self.state.read();
        let (Some(heard), Some(head)) = (state.heard, state.head) else {
            return false;
        };
        let now = reading(self.source, state.anchor, wall_clock(), Instant::now());
        let age = now.saturating_sub(Duration::from_secs(head.timestamp));
        heard.elapsed() <= self.freshness.max_silence
            && self.freshness.max_head_age.is_none_or(|max| age <= max)
    }

    /// The newest head up to which the ledger's events have been applied.
    pub fn head(&self) -> Option<Head> {
        self.state.read().head
    }

    /// Whether `head` may be believed.
    ///
    /// # Errors
    /// When it is too far ahead of the wall clock.
    pub fn check(&self, head: Head) -> Result<(), HeadFromTheFuture> {
        check_head(self.source, head, wall_clock())
    }

    /// Tells the clock that `head` is the newest block, that it was seen at `seen`, and that all events up to it
    /// have been applied.
    ///
    /// # Errors
    /// When the head is too far ahead of the wall clock to be believed; the clock then stays as it was.
    pub fn saw(&self, head: Head, seen: Instant) -> Result<(), HeadFromTheFuture> {
        let wall = wall_clock();
        let now = Instant::now();
        let mut state = self.state.write();
        check_head(self.source, head, wall)?;
        let estimate = (Duration::from_secs(head.timestamp), seen);
        state.anchor = Some(better_anchor(state.anchor, estimate, now));
        state.head = Some(head);
        state.heard = Some(now);
        let shown = reading(self.source, state.anchor, wall, now);
        let expected = state
            .last
            .map(|(time, at)| time + now.saturating_duration_since(at));
        state.last = Some((shown, now));
        drop(state);
        if expected.is_none_or(|expected| shown.abs_diff(expected) > CLOCK_STEP) {
            self.moved.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}

impl Reading {
    /// When it was read.
    pub(crate) const fn at(self) -> Instant {
        self.at
    }

    /// Whether there is time to write something before a Unix second.
    pub(crate) fn is_before(self, unix: u64) -> bool {
        self.time + CUT_MARGIN < Duration::from_secs(unix)
    }

    /// The instant at which the clock shows the Unix second `unix`; that of the reading, when it is past.
    pub(crate) fn instant_of(self, unix: u64) -> Instant {
        self.at + Duration::from_secs(unix).saturating_sub(self.time)
    }
}

/// The instant of a Unix second on the wall clock, by which tokens and passwords end.
pub fn wall_instant_of(unix: u64) -> Instant {
    Instant::now() + Duration::from_secs(unix).saturating_sub(wall_clock())
}

/// Time since the Unix epoch on the wall clock.
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

fn reading(
    source: ClockSource,
    anchor: Option<(Duration, Instant)>,
    wall: Duration,
    now: Instant,
) -> Duration {
    let chain = anchor.map(|(time, at)| time + now.saturating_duration_since(at));
    match (source, chain) {
        (_, None) => wall,
        (ClockSource::Wall, Some(chain)) => wall.max(chain),
        (ClockSource::Head, Some(chain)) => chain,
    }
}

fn check_head(source: ClockSource, head: Head, wall: Duration) -> Result<(), HeadFromTheFuture> {
    let ahead = Duration::from_secs(head.timestamp).saturating_sub(wall);
    if source == ClockSource::Wall && ahead > HEAD_TOLERANCE {
        return Err(HeadFromTheFuture {
            number: head.number,
            ahead_seconds: ahead.as_secs(),
        });
    }
    Ok(())
}

/// Timestamps are whole seconds and heads are seen late, so a new head is usually a little behind the old one's
/// running time. The later of the two is nearer the truth; only a real step back is followed.
fn better_anchor(
    old: Option<(Duration, Instant)>,
    new: (Duration, Instant),
    now: Instant,
) -> (Duration, Instant) {
    let shows = |(time, at): (Duration, Instant)| time + now.saturating_duration_since(at);
    match old {
        Some(old) if shows(old) >= shows(new) => {
            let step_back = shows(old).saturating_sub(shows(new));
            if step_back <= HEAD_BACKWARD_TOLERANCE {
                old
            } else {
                new
            }
        }
        _ => new,
    }
}

#[cfg(test)]
mod tests;
