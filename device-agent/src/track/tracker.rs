use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::detect::{Candidate, PixelBox};
use crate::track::assign::assign;
use crate::track::motion::Motion;
use crate::track::options::{TrackerOptions, TrackerOptionsError};

/// Overlap from which a seen and a hidden object of a class are one (ByteTrack).
const SAME: f32 = 0.85;

/// The number of an object, which rises from 1 within one start of a device and is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(u64);

/// Follows objects from frame to frame; see the module.
#[derive(Debug)]
pub struct Tracker {
    options: TrackerOptions,
    /// Classes whose boxes are sure from another score on.
    scores: BTreeMap<u32, f32>,
    tracks: Vec<Track>,
    /// When the last frame was taken.
    now: Duration,
    last_id: u64,
}

/// What a frame said about the objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// The confirmed objects that are in the frame, oldest first.
    pub seen: Vec<Tracked>,
    /// The confirmed objects that are gone for good.
    pub gone: Vec<TrackId>,
}

/// A confirmed object in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    /// Its number.
    pub id: TrackId,
    /// The index of its box among the candidates of the frame.
    pub candidate: usize,
    /// Where it is by all frames so far: calmer than the detector's box.
    pub bounds: PixelBox,
    /// How long ago it was seen first.
    pub age: Duration,
}

#[derive(Debug)]
struct Track {
    class: u32,
    motion: Motion,
    stage: Stage,
    /// When it was seen first and last.
    began: Duration,
    seen: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Seen in so many frames in a row, too few to believe in it.
    Tentative(u32),
    Seen(TrackId),
    Hidden(TrackId),
}

/// Which objects and which boxes a pairing is about, and how like they must be.
struct Round<'a> {
    stage: fn(Stage) -> bool,
    boxes: &'a mut Vec<usize>,
    least: f32,
    /// Whether a surer box is more alike.
    weigh: fn(f32) -> f32,
}

impl TrackId {
    /// The object that an event names.
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Tracker {
    /// A tracker that has seen nothing.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn new(options: TrackerOptions) -> Result<Self, TrackerOptionsError> {
        Ok(Self {
            options: options.checked()?,
            scores: BTreeMap::new(),
            tracks: Vec::new(),
            now: Duration::ZERO,
            last_id: 0,
        })
    }

    /// The same tracker, for which boxes of these classes are sure from another score on.
    #[must_use]
    pub fn with_scores(mut self, scores: impl IntoIterator<Item = (u32, f32)>) -> Self {
        self.scores = scores.into_iter().collect();
        self
    }

    /// Takes the boxes of a frame; `time` is that of a clock that never goes back.
    ///
    /// A box of no area is passed over. Every box from the score `sure` on is either an object that is known, or one that
    /// may be confirmed later, or left alone.
    pub fn update(&mut self, time: Duration, candidates: &[Candidate]) -> Update {
        let mut gone = self.forget(time);
        let passed = time.saturating_sub(self.now);
        self.now = self.now.max(time);
        for track in &mut self.tracks {
            if matches!(track.stage, Stage::Hidden(_)) {
                track.motion.stop_growing();
            }
            track.motion.predict(passed);
        }
        let useful = (0..candidates.len()).filter(|&index| {
            let candidate = &candidates[index];
            let least = self.options.unsure.min(self.sure(candidate));
            candidate.score >= least && candidate.bounds.area() > 0.0
        });
        let (mut sure, mut unsure): (Vec<usize>, Vec<usize>) =
            useful.partition(|&index| candidates[index].score >= self.sure(&candidates[index]));
        let mut matched = vec![None; self.tracks.len()];
        for round in [
            Round {
                stage: |stage| !matches!(stage, Stage::Tentative(_)),
                boxes: &mut sure,
                least: self.options.overlap,
                weigh: |score| score,
            },
            Round {
                stage: |stage| matches!(stage, Stage::Seen(_)),
                boxes: &mut unsure,
                least: self.options.unsure_overlap,
                weigh: |_| 1.0,
            },
        ] {
            self.pair(round, candidates, &mut matched);
        }
        let round = Round {
            stage: |stage| matches!(stage, Stage::Tentative(_)),
            boxes: &mut sure,
            least: self.options.begin_overlap,
            weigh: |score| score,
        };
        self.pair(round, candidates, &mut matched);
        let mut seen = self.settle(candidates, &matched);
        gone.extend(self.merge());
        seen.retain(|tracked| !gone.contains(&tracked.id));
        for index in sure {
            let above = self.options.begin - self.options.sure;
            if candidates[index].score >= self.sure(&candidates[index]) + above {
                seen.extend(self.begin(index, &candidates[index]));
            }
        }
        seen.sort_by_key(|tracked| tracked.id);
        Update { seen, gone }
    }

    /// Takes a frame in which nothing has moved since the last one, so that nobody had to look: what was seen still is, and
    /// what was hidden is gone some time.
    pub fn rest(&mut self, time: Duration) -> Vec<TrackId> {
        self.now = self.now.max(time);
        for track in &mut self.tracks {
            if !matches!(track.stage, Stage::Hidden(_)) {
                track.seen = self.now;
                track.motion.stop();
            }
        }
        self.forget(time)
    }

    /// Ends everything: the picture is another one now.
    pub fn reset(&mut self) -> Vec<TrackId> {
        self.end(|_| true)
    }

    /// The score from which a box like this is sure.
    fn sure(&self, candidate: &Candidate) -> f32 {
        let own = self.scores.get(&candidate.class);
        own.copied().unwrap_or(self.options.sure)
    }

    /// Ends what has not been seen for too long.
    fn forget(&mut self, time: Duration) -> Vec<TrackId> {
        let lost = self.options.lost;
        self.end(|track| time.saturating_sub(track.seen) > lost)
    }

    fn end(&mut self, over: impl Fn(&Track) -> bool) -> Vec<TrackId> {
        let gone = self.tracks.extract_if(.., |track| over(track));
        gone.filter_map(|track| track.stage.id()).collect()
    }

    /// Pairs the objects of a stage that are not paired yet with boxes, and takes those boxes away.
    fn pair(&self, round: Round<'_>, candidates: &[Candidate], matched: &mut [Option<usize>]) {
        let Round {
            stage,
            boxes,
            least,
            weigh,
        } = round;
        let tracks: Vec<usize> = (0..self.tracks.len())
            .filter(|&track| matched[track].is_none() && stage(self.tracks[track].stage))
            .collect();
        let expected: Vec<PixelBox> = self
            .tracks
            .iter()
            .map(|track| track.motion.bounds())
            .collect();
        let likeness = |track: usize, index: usize| {
            let candidate = &candidates[index];
            if self.tracks[track].class == candidate.class {
                expected[track].overlap(&candidate.bounds) * weigh(candidate.score)
            } else {
                -1.0
            }
        };
        for (track, index) in assign(&tracks, boxes, least, likeness) {
            matched[track] = Some(index);
        }
        boxes.retain(|index| !matched.contains(&Some(*index)));
    }

    /// Gives each object its box, or hides it; a tentative one without a box was a ghost.
    fn settle(&mut self, candidates: &[Candidate], matched: &[Option<usize>]) -> Vec<Tracked> {
        let mut seen = Vec::new();
        let mut kept = Vec::with_capacity(self.tracks.len());
        for (mut track, index) in std::mem::take(&mut self.tracks).into_iter().zip(matched) {
            match (index, track.stage) {
                (Some(index), stage) => {
                    track.motion.correct(&candidates[*index].bounds);
                    track.seen = self.now;
                    track.stage = match stage {
                        Stage::Tentative(hits) => self.after_hit(hits),
                        Stage::Seen(id) | Stage::Hidden(id) => Stage::Seen(id),
                    };
                    seen.extend(track.tracked(*index));
                }
                (None, Stage::Tentative(_)) => continue,
                (None, Stage::Seen(id) | Stage::Hidden(id)) => track.stage = Stage::Hidden(id),
            }
            kept.push(track);
        }
        self.tracks = kept;
        seen
    }

    fn after_hit(&mut self, hits: u32) -> Stage {
        let hits = hits + 1;
        if hits < self.options.min_hits {
            return Stage::Tentative(hits);
        }
        self.last_id += 1;
        Stage::Seen(TrackId(self.last_id))
    }

    fn begin(&mut self, index: usize, candidate: &Candidate) -> Option<Tracked> {
        let track = Track {
            class: candidate.class,
            motion: Motion::begin(&candidate.bounds),
            stage: self.after_hit(0),
            began: self.now,
            seen: self.now,
        };
        let tracked = track.tracked(index);
        self.tracks.push(track);
        tracked
    }

    /// Where a hidden object and a seen one of its class have come to lie on each other, the younger one ends.
    fn merge(&mut self) -> Vec<TrackId> {
        let mut doubles = Vec::new();
        let tracks = self.tracks.iter();
        let hidden = tracks
            .clone()
            .filter(|track| matches!(track.stage, Stage::Hidden(_)));
        for (hidden, seen) in
            hidden.flat_map(|hidden| tracks.clone().map(move |seen| (hidden, seen)))
        {
            if matches!(seen.stage, Stage::Seen(_))
                && seen.class == hidden.class
                && seen.motion.bounds().overlap(&hidden.motion.bounds()) > SAME
            {
                doubles.push(hidden.stage.id().max(seen.stage.id()));
            }
        }
        self.end(|track| track.stage.id().is_some() && doubles.contains(&track.stage.id()))
    }
}

impl Track {
    /// What is told about it while it has the box of a frame; nothing while it is tentative.
    fn tracked(&self, candidate: usize) -> Option<Tracked> {
        Some(Tracked {
            id: self.stage.id()?,
            candidate,
            bounds: self.motion.bounds(),
            age: self.seen.saturating_sub(self.began),
        })
    }
}

impl Stage {
    const fn id(self) -> Option<TrackId> {
        match self {
            Self::Tentative(_) => None,
            Self::Seen(id) | Self::Hidden(id) => Some(id),
        }
    }
}

#[cfg(test)]
mod tests;
