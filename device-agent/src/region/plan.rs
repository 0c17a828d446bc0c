use crate::detect::{PixelBox, Size};
use crate::region::Region;

/// A picture is large when its longer side is this many times the longer one of the model's input.
const LARGE: u32 = 2;
/// A region's side beside the longest side of what it is round: a model needs to see a little of what is about.
const ROOM: f32 = 1.4;

/// Whether a model that is shown the whole picture misses what is small in it.
pub(crate) fn is_large(picture: Size, input: Size) -> bool {
    picture.width.max(picture.height) >= LARGE * input.width.max(input.height)
}

/// At most `limit` squares that hold every box, each at least as large as the model's input.
///
/// Two are merged where one square costs no more pixels than both, or where there are too many.
pub(crate) fn plan(picture: Size, input: Size, boxes: &[PixelBox], limit: usize) -> Vec<Region> {
    let square = |bounds: &PixelBox| square_round(bounds, picture, input);
    let cost = |bounds: &PixelBox| {
        let region = square(bounds);
        i64::from(region.width) * i64::from(region.height)
    };
    let mut groups = boxes.to_vec();
    while let Some((first, second, growth)) = cheapest_pair(&groups, cost) {
        if growth > 0 && groups.len() <= limit.max(1) {
            break;
        }
        let merged = union(&groups[first], &groups[second]);
        groups.swap_remove(second);
        groups[first] = merged;
    }
    groups.iter().map(square).collect()
}

/// The two groups (the first before the second) whose union costs least beyond what both cost.
fn cheapest_pair(
    groups: &[PixelBox],
    cost: impl Fn(&PixelBox) -> i64,
) -> Option<(usize, usize, i64)> {
    let pairs =
        (0..groups.len()).flat_map(|first| (first + 1..groups.len()).map(move |n| (first, n)));
    pairs
        .map(|(first, second)| {
            let (a, b) = (&groups[first], &groups[second]);
            (first, second, cost(&union(a, b)) - cost(a) - cost(b))
        })
        .min_by_key(|&(_, _, growth)| growth)
}

/// The square round a box, moved so that it is in the picture, and cut where the picture is shorter.
fn square_round(bounds: &PixelBox, picture: Size, input: Size) -> Region {
    let longest = (bounds.x2 - bounds.x1).max(bounds.y2 - bounds.y1);
    let side = ((longest * ROOM).ceil() as u32).max(input.width.max(input.height));
    let (width, height) = (side.min(picture.width), side.min(picture.height));
    let place = |low: f32, high: f32, side: u32, limit: u32| {
        let begin = f32::midpoint(low, high) - side as f32 / 2.0;
        (begin.max(0.0).round() as u32).min(limit - side)
    };
    Region {
        left: place(bounds.x1, bounds.x2, width, picture.width),
        top: place(bounds.y1, bounds.y2, height, picture.height),
        width,
        height,
    }
}

fn union(a: &PixelBox, b: &PixelBox) -> PixelBox {
    PixelBox {
        x1: a.x1.min(b.x1),
        y1: a.y1.min(b.y1),
        x2: a.x2.max(b.x2),
        y2: a.y2.max(b.y2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Size = Size {
        width: 320,
        height: 320,
    };
    const HD: Size = Size {
        width: 1920,
        height: 1080,
    };

    fn bounds([x1, y1, x2, y2]: [f32; 4]) -> PixelBox {
        PixelBox { x1, y1, x2, y2 }
    }

    #[test]
    fn what_is_large() {
        for (width, height, large) in [
            (320, 320, false),
            (639, 480, false),
            (640, 480, true),
            (480, 640, true),
            (1920, 1080, true),
        ] {
            assert_eq!(is_large(Size { width, height }, INPUT), large, "{width}");
        }
    }

    #[test]
    fn squares_round_what_moves() {
        for (boxes, limit, expected) in [
            (vec![], 4, vec![]),
            // As large as the input, round the middle of the box.
            (
                vec![[900.0, 500.0, 940.0, 600.0]],
                4,
                vec![[760, 390, 320, 320]],
            ),
            // Moved into the picture.
            (vec![[0.0, 0.0, 10.0, 10.0]], 4, vec![[0, 0, 320, 320]]),
            (
                vec![[1900.0, 1070.0, 1920.0, 1080.0]],
                4,
                vec![[1600, 760, 320, 320]],
            ),
            // Larger than the input: with room about it.
            (
                vec![[500.0, 300.0, 1000.0, 500.0]],
                4,
                vec![[400, 50, 700, 700]],
            ),
            // Larger than the picture is high.
            (
                vec![[100.0, 0.0, 1100.0, 1080.0]],
                4,
                vec![[0, 0, 1512, 1080]],
            ),
            // Neighbours share a square; strangers do not.
            (
                vec![[100.0, 100.0, 140.0, 200.0], [200.0, 110.0, 240.0, 210.0]],
                4,
                vec![[10, 0, 320, 320]],
            ),
            (
                vec![[100.0, 500.0, 140.0, 600.0], [1500.0, 500.0, 1540.0, 600.0]],
                4,
                vec![[0, 390, 320, 320], [1360, 390, 320, 320]],
            ),
            // Too many: the nearest two share one, larger.
            (
                vec![
                    [100.0, 500.0, 140.0, 600.0],
                    [1100.0, 500.0, 1140.0, 600.0],
                    [1500.0, 500.0, 1540.0, 600.0],
                ],
                2,
                vec![[0, 390, 320, 320], [1012, 242, 616, 616]],
            ),
        ] {
            let asked: Vec<PixelBox> = boxes.iter().copied().map(bounds).collect();
            let found: Vec<[u32; 4]> = plan(HD, INPUT, &asked, limit)
                .iter()
                .map(|region| [region.left, region.top, region.width, region.height])
                .collect();
            assert_eq!(found, expected, "{boxes:?}");
        }
    }

    #[test]
    fn every_box_is_in_a_region_and_there_are_never_too_many() {
        let mut state = 7_u64;
        let mut dice = |limit: f32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1_u64 << 24) as f32 * limit
        };
        for count in 1..=48 {
            let boxes: Vec<PixelBox> = (0..count)
                .map(|_| {
                    let (x, y) = (dice(1900.0), dice(1060.0));
                    bounds([
                        x,
                        y,
                        (x + 2.0 + dice(200.0)).min(1920.0),
                        (y + 2.0 + dice(200.0)).min(1080.0),
                    ])
                })
                .collect();
            let regions = plan(HD, INPUT, &boxes, 4);
            assert!((1..=4).contains(&regions.len()));
            for found in &boxes {
                let inside = |region: &Region| {
                    let part = region.bounds();
                    found.x1 >= part.x1
                        && found.y1 >= part.y1
                        && found.x2 <= part.x2
                        && found.y2 <= part.y2
                };
                assert!(regions.iter().any(inside), "{found:?} in {regions:?}");
            }
            for region in regions {
                assert!(region.left + region.width <= 1920 && region.top + region.height <= 1080);
            }
        }
    }
}
