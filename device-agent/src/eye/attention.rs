use std::time::{Duration, Instant};

use crate::motion::Motion;

/// How long the eye goes on looking after the last motion: who stops or leaves is seen at rest, or gone, before
/// nobody looks any more.
const LINGER: Duration = Duration::from_secs(2);

/// How often the eye looks and speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time between two statements of what is seen while nothing moves.
    pub(crate) still: Duration,
    /// Time between two looks at the whole picture while nothing moves.
    pub(crate) recheck: Duration,
    /// Time between two looks at the whole picture while something moves.
    pub(crate) whole: Duration,
}

/// What a picture is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glance {
    /// A look at all of it.
    Whole,
    /// A look at what moves.
    Parts,
    /// No look: what was seen still stands, and it is time to say so.
    Restate,
    /// Nothing.
    Pass,
}

/// Decides what each picture is worth.
#[derive(Debug)]
pub(crate) struct Attention {
    pace: Pace,
    moved: Option<Instant>,
    whole: Option<Instant>,
    spoke: Option<Instant>,
}

impl Attention {
    pub(crate) const fn new(pace: Pace) -> Self {
        Self {
            pace,
            moved: None,
            whole: None,
            spoke: None,
        }
    }

    /// What the picture of a moment is worth. It counts as looked at, and as spoken of, unless the answer is to pass.
    pub(crate) fn glance(&mut self, motion: &Motion, now: Instant) -> Glance {
        let glance = self.decide(motion, now);
        if *motion != Motion::Still {
            self.moved = Some(now);
        }
        if glance == Glance::Whole {
            self.whole = Some(now);
        }
        if glance != Glance::Pass {
            self.spoke = Some(now);
        }
        glance
    }

    fn decide(&self, motion: &Motion, now: Instant) -> Glance {
        let passed = |since: Option<Instant>, time: Duration| {
            since.is_none_or(|since| now.saturating_duration_since(since) >= time)
        };
        let quiet = *motion == Motion::Still && passed(self.moved, LINGER);
        let whole = if quiet {
            self.pace.recheck
        } else {
            self.pace.whole
        };
        if *motion == Motion::Changed || passed(self.whole, whole) {
            Glance::Whole
        } else if !quiet {
            Glance::Parts
        } else if passed(self.spoke, self.pace.still) {
            Glance::Restate
        } else {
            Glance::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        still: Duration::from_secs(2),
        recheck: Duration::from_secs(30),
        whole: Duration::from_secs(5),
    };

    #[test]
    fn a_still_scene_is_looked_at_now_and_then() {
        let mut attention = Attention::new(PACE);
        let begin = Instant::now();
        let moved = || Motion::Moved(Vec::new());
        for (millis, motion, glance) in [
            (0, Motion::Changed, Glance::Whole),
            (200, Motion::Still, Glance::Parts),
            (1_900, Motion::Still, Glance::Parts),
            (2_000, Motion::Still, Glance::Pass),
            (3_899, Motion::Still, Glance::Pass),
            (3_900, Motion::Still, Glance::Restate),
            (5_000, Motion::Still, Glance::Pass),
            (5_900, Motion::Still, Glance::Restate),
            (6_000, moved(), Glance::Whole),
            (6_200, moved(), Glance::Parts),
            (8_000, Motion::Still, Glance::Parts),
            (8_200, Motion::Still, Glance::Pass),
            (10_000, Motion::Still, Glance::Restate),
            (35_900, Motion::Still, Glance::Restate),
            (36_000, Motion::Still, Glance::Whole),
            (36_200, Motion::Still, Glance::Pass),
            (36_400, Motion::Changed, Glance::Whole),
            (36_600, Motion::Changed, Glance::Whole),
        ] {
            let now = begin + Duration::from_millis(millis);
            assert_eq!(attention.glance(&motion, now), glance, "{millis} ms");
        }
    }
}
