use crate::detect::{Candidate, Overlap};

/// Most candidates that are compared with each other; the comparison is quadratic.
const MAX_CANDIDATES: usize = 30_000;
/// Most objects that one picture yields.
pub(crate) const MAX_OBJECTS: usize = 300;

/// Keeps the best of overlapping boxes of each class (non-maximum suppression), best score first.
pub(crate) fn suppress(mut candidates: Vec<Candidate>, allowed: Overlap) -> Vec<Candidate> {
    candidates = cut_at(candidates, MAX_CANDIDATES);
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let hidden = kept.iter().any(|better| {
            better.class == candidate.class
                && better.bounds.overlap(&candidate.bounds) > allowed.get()
        });
        if !hidden {
            kept.push(candidate);
            if kept.len() == MAX_OBJECTS {
                break;
            }
        }
    }
    kept
}

/// Keeps what a model has already suppressed by itself, best score first.
pub(crate) fn cut(candidates: Vec<Candidate>) -> Vec<Candidate> {
    cut_at(candidates, MAX_OBJECTS)
}

fn cut_at(mut candidates: Vec<Candidate>, most: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(most);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::PixelBox;

    fn candidate(x: f32, score: f32, class: u32) -> Candidate {
        Candidate {
            bounds: PixelBox {
                x1: x,
                y1: 0.0,
                x2: x + 10.0,
                y2: 10.0,
            },
            score,
            class,
        }
    }

    #[test]
    fn the_best_box_of_a_class_hides_its_likes() {
        // Moved by 1 of 10, two boxes overlap by 9/11 = 0.82; moved by 2, by 8/12 = 0.67.
        for (candidates, kept) in [
            (vec![], vec![]),
            (vec![(0.0, 0.5, 0), (1.0, 0.9, 0)], vec![0.9]),
            (vec![(0.0, 0.5, 0), (2.0, 0.9, 0)], vec![0.9, 0.5]),
            (vec![(0.0, 0.5, 0), (1.0, 0.9, 1)], vec![0.9, 0.5]),
            (vec![(0.0, 0.5, 0), (1.0, 0.9, 0), (2.0, 0.7, 0)], vec![0.9]),
            // A box that is hidden itself hides nobody.
            (
                vec![(0.0, 0.9, 0), (1.5, 0.8, 0), (3.0, 0.7, 0)],
                vec![0.9, 0.7],
            ),
        ] {
            let input = candidates
                .iter()
                .map(|&(x, score, class)| candidate(x, score, class));
            let found = suppress(input.collect(), Overlap::REFERENCE);
            let scores: Vec<f32> = found.iter().map(|object| object.score).collect();
            assert_eq!(scores, kept, "{candidates:?}");
        }
    }

    #[test]
    fn people_who_watch_see_one_box_where_a_comparison_sees_two() {
        // Moved by 3 of 10, two boxes overlap by 7/13 = 0.54; moved by 4, by 6/14 = 0.43.
        for (moved, allowed, kept) in [
            (3.0, Overlap::REFERENCE, 2),
            (3.0, Overlap::CALM, 1),
            (4.0, Overlap::CALM, 2),
        ] {
            let pair = vec![candidate(0.0, 0.9, 0), candidate(moved, 0.8, 0)];
            assert_eq!(suppress(pair, allowed).len(), kept, "{moved} {allowed:?}");
        }
    }

    #[test]
    fn a_crowd_is_cut_at_the_limit() {
        let crowd = (0..1000)
            .map(|index| candidate(index as f32 * 20.0, 0.5, 0))
            .collect();
        assert_eq!(suppress(crowd, Overlap::REFERENCE).len(), MAX_OBJECTS);
    }

    #[test]
    fn what_a_model_suppressed_by_itself_stays_in_order() {
        let found = cut(vec![candidate(0.0, 0.5, 0), candidate(0.0, 0.9, 0)]);
        let scores: Vec<f32> = found.iter().map(|object| object.score).collect();
        assert_eq!(scores, [0.9, 0.5]);
    }
}
