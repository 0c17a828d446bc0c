//! How well a tracker follows what is truly there.
//!
//! MOTA is that of CLEAR MOT (Bernardin and Stiefelhagen, 2008), IDF1 that of Ristani et al. (2016). Both agree with
//! py-motmetrics on `golden.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use ashya_agent::PixelBox;
use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Overlap from which a box shows an object.
const SAME: f32 = 0.5;
/// Worth of a pair beside that of its overlap, so that more pairs are always better than closer ones.
const PAIR: i64 = 1 << 40;

/// A box with the number of what it shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) id: u64,
    pub(crate) class: u32,
    pub(crate) bounds: PixelBox,
}

/// What is there and what a tracker shows in one frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    pub(crate) truths: Vec<Shown>,
    pub(crate) shown: Vec<Shown>,
}

/// Counts that add up over scenes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Objects in all frames, and boxes shown.
    pub(crate) truths: u64,
    pub(crate) shown: u64,
    pub(crate) misses: u64,
    pub(crate) false_positives: u64,
    /// How often an object was shown under another number than before.
    pub(crate) switches: u64,
    /// Boxes that show the object to which their number belongs, when each number is given to one object at most.
    pub(crate) identified: u64,
    /// Different objects, and numbers shown.
    pub(crate) objects: u64,
    pub(crate) numbers: u64,
}

impl Tally {
    /// Counts a scene from its beginning to its end.
    pub(crate) fn of(frames: &[Frame]) -> Self {
        let mut tally = Self::default();
        let mut numbers = BTreeMap::new();
        for frame in frames {
            tally.truths += frame.truths.len() as u64;
            tally.shown += frame.shown.len() as u64;
            let pairs = pairs(frame, &numbers);
            tally.misses += (frame.truths.len() - pairs.len()) as u64;
            tally.false_positives += (frame.shown.len() - pairs.len()) as u64;
            for (truth, shown) in pairs {
                if numbers
                    .insert(truth, shown)
                    .is_some_and(|before| before != shown)
                {
                    tally.switches += 1;
                }
            }
        }
        tally.identified = identified(frames);
        let count = |of: fn(&Frame) -> &Vec<Shown>| {
            let ids = frames
                .iter()
                .flat_map(|frame| of(frame).iter().map(|shown| shown.id));
            ids.collect::<BTreeSet<u64>>().len() as u64
        };
        tally.objects = count(|frame| &frame.truths);
        tally.numbers = count(|frame| &frame.shown);
        tally
    }

    /// Multiple object tracking accuracy: 1 without any mistake, below 0 with more mistakes than objects.
    pub(crate) fn mota(&self) -> f64 {
        1.0 - (self.misses + self.false_positives + self.switches) as f64 / self.truths as f64
    }

    /// The share of boxes and objects under the right number, 0 to 1.
    pub(crate) fn idf1(&self) -> f64 {
        2.0 * self.identified as f64 / (self.truths + self.shown) as f64
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.truths += other.truths;
        self.shown += other.shown;
        self.misses += other.misses;
        self.false_positives += other.false_positives;
        self.switches += other.switches;
        self.identified += other.identified;
        self.objects += other.objects;
        self.numbers += other.numbers;
    }
}

fn overlap(a: &Shown, b: &Shown) -> Option<f32> {
    let overlap = a.bounds.overlap(&b.bounds);
    (a.class == b.class && overlap >= SAME).then_some(overlap)
}

/// Pairs of truth and number: those of the last time as long as they hold, then as many and as close as can be.
fn pairs(frame: &Frame, numbers: &BTreeMap<u64, u64>) -> Vec<(u64, u64)> {
    let (mut truths, mut shown): (Vec<_>, Vec<_>) =
        (frame.truths.iter().collect(), frame.shown.iter().collect());
    let mut pairs = Vec::new();
    truths.retain(|truth| {
        let kept = shown.iter().position(|shown| {
            numbers.get(&truth.id) == Some(&shown.id) && overlap(truth, shown).is_some()
        });
        if let Some(index) = kept {
            pairs.push((truth.id, shown.remove(index).id));
        }
        kept.is_none()
    });
    let worth = |truth: &Shown, shown: &Shown| {
        overlap(truth, shown).map_or(0, |overlap| PAIR + (f64::from(overlap) * 1e9) as i64)
    };
    let weights: Vec<Vec<i64>> = truths
        .iter()
        .map(|truth| shown.iter().map(|shown| worth(truth, shown)).collect())
        .collect();
    let best = best(&weights);
    pairs.extend(
        best.into_iter()
            .map(|(row, column)| (truths[row].id, shown[column].id)),
    );
    pairs
}

/// Boxes under the right number when numbers are given to objects as well as can be.
fn identified(frames: &[Frame]) -> u64 {
    let mut together: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    for frame in frames {
        for truth in &frame.truths {
            for shown in &frame.shown {
                if overlap(truth, shown).is_some() {
                    *together.entry((truth.id, shown.id)).or_default() += 1;
                }
            }
        }
    }
    let truths: BTreeSet<u64> = together.keys().map(|pair| pair.0).collect();
    let numbers: BTreeSet<u64> = together.keys().map(|pair| pair.1).collect();
    let weights: Vec<Vec<i64>> = truths
        .iter()
        .map(|&truth| {
            let count = |&number: &u64| together.get(&(truth, number)).copied().unwrap_or(0);
            numbers.iter().map(count).collect()
        })
        .collect();
    let best = best(&weights);
    best.iter()
        .map(|&(row, column)| weights[row][column] as u64)
        .sum()
}

/// The pairs of row and column, each in one pair at most, whose weights have the largest sum; none weighs 0.
fn best(weights: &[Vec<i64>]) -> Vec<(usize, usize)> {
    let rows = weights.len();
    let columns = weights.first().map_or(0, Vec::len);
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    // The algorithm wants no more rows than columns.
    let width = rows.max(columns);
    let matrix = Matrix::from_fn(rows, width, |(row, column)| {
        weights[row].get(column).copied().unwrap_or(0)
    });
    let (_, chosen) = kuhn_munkres(&matrix);
    (0..)
        .zip(chosen)
        .filter(|&(row, column)| weights[row].get(column).is_some_and(|&weight| weight > 0))
        .collect()
}
