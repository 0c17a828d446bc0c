use crate::detect::{Candidate, MAX_OBJECTS, Overlap, PixelBox};
use crate::region::{Region, shared};

/// Share of a cut object that lies in a whole one of its class, from which on it is a part of that one.
const PART: f32 = 0.7;
/// Share of an object that must lie in a region for a look at the region to tell whether it is still there.
const SEEN: f32 = 0.5;

/// An object that was found in a region, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    pub(crate) object: Candidate,
    /// Whether the region's border cuts it.
    pub(crate) cut: bool,
}

/// One object of each that several regions show, best score first: whole ones hide cut ones, then better ones worse.
pub(crate) fn merge(mut found: Vec<Found>, allowed: Overlap) -> Vec<Candidate> {
    found.sort_by(|a, b| {
        let by_score = b.object.score.total_cmp(&a.object.score);
        a.cut.cmp(&b.cut).then(by_score)
    });
    let mut kept: Vec<Candidate> = Vec::new();
    for Found { object, cut } in found {
        let hidden = kept
            .iter()
            .filter(|better| better.class == object.class)
            .any(|better| {
                better.bounds.overlap(&object.bounds) > allowed.get()
                    || (cut && is_part_of(&object.bounds, &better.bounds))
            });
        if !hidden {
            kept.push(object);
        }
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept.truncate(MAX_OBJECTS);
    kept
}

/// Whether most of a box is in another.
pub(crate) fn is_part_of(part: &PixelBox, whole: &PixelBox) -> bool {
    shared(part, whole) > PART * part.area()
}

/// The objects of the last look of which a look at some regions tells nothing: where nothing moves, they still are.
pub(crate) fn still_standing(before: &[Candidate], looked: &[Region]) -> Vec<Candidate> {
    let seen = |object: &&Candidate| {
        let least = SEEN * object.bounds.area();
        looked
            .iter()
            .any(|region| shared(&object.bounds, &region.bounds()) >= least)
    };
    before
        .iter()
        .filter(|object| !seen(object))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object([x1, y1, x2, y2]: [f32; 4], score: f32, class: u32) -> Candidate {
        Candidate {
            bounds: PixelBox { x1, y1, x2, y2 },
            score,
            class,
        }
    }

    #[test]
    fn an_object_that_two_regions_show_is_one() {
        let whole = [0.0, 0.0, 100.0, 100.0];
        let nearly = [4.0, 2.0, 102.0, 101.0];
        let half = [50.0, 0.0, 100.0, 100.0];
        for (found, scores) in [
            (vec![], vec![]),
            (
                vec![(whole, 0.6, 0, false), (nearly, 0.9, 0, false)],
                vec![0.9],
            ),
            // A whole one counts more than a cut one that scores better.
            (
                vec![(whole, 0.6, 0, false), (half, 0.9, 0, true)],
                vec![0.6],
            ),
            // A cut one alone is better than none.
            (vec![(half, 0.9, 0, true)], vec![0.9]),
            // One that is whole itself may stand in front of a larger one.
            (
                vec![
                    (whole, 0.6, 0, false),
                    ([60.0, 0.0, 90.0, 50.0], 0.9, 0, false),
                ],
                vec![0.9, 0.6],
            ),
            (
                vec![(whole, 0.6, 0, false), (half, 0.9, 1, true)],
                vec![0.9, 0.6],
            ),
        ] {
            let input = found.iter().map(|&(bounds, score, class, cut)| Found {
                object: object(bounds, score, class),
                cut,
            });
            let kept = merge(input.collect(), Overlap::CALM);
            let kept: Vec<f32> = kept.iter().map(|object| object.score).collect();
            assert_eq!(kept, scores, "{found:?}");
        }
    }

    #[test]
    fn what_no_region_shows_still_stands() {
        let looked = [Region {
            left: 100,
            top: 100,
            width: 100,
            height: 100,
        }];
        for (bounds, stands) in [
            ([0.0, 0.0, 50.0, 50.0], true),
            ([120.0, 120.0, 150.0, 150.0], false),
            ([60.0, 120.0, 120.0, 150.0], true),
            ([90.0, 120.0, 120.0, 150.0], false),
        ] {
            let before = [object(bounds, 0.5, 0)];
            let after = still_standing(&before, &looked);
            assert_eq!(!after.is_empty(), stands, "{bounds:?}");
        }
        assert_eq!(still_standing(&[object([0.0; 4], 0.5, 0)], &[]).len(), 1);
    }
}
