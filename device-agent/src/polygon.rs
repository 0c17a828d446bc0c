use thiserror::Error;
use tiny_skia::{FillRule, LineJoin, Mask, Path, PathBuilder, Stroke, Transform};

/// Most corners of a polygon; more than a person draws, few enough to compare each edge with each other.
const MAX_CORNERS: usize = 64;
/// Least area, as a share of the picture: a square of two pixels in a picture of 640 by 480.
const MIN_AREA: f64 = 1e-5;

/// A polygon over a picture: 3 to 64 corners `[x, y]` in fractions (0 to 1) of its width and height, whose edges do
/// not cross.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    corners: Vec<[f64; 2]>,
}

/// Why corners are no polygon.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PolygonError {
    /// Too few corners, or too many.
    #[error("{0} corners, expected 3 to {MAX_CORNERS}")]
    Corners(usize),
    /// A corner that is not in the picture.
    #[error("the corner [{0}, {1}] is not in the picture: expected fractions from 0 to 1")]
    Outside(f64, f64),
    /// Edges that cross, touch or repeat.
    #[error("the edges after corners {0} and {1} cross or touch: list the corners in their order")]
    Crossing(usize, usize),
    /// Next to nothing inside.
    #[error("it has no area")]
    Flat,
}

impl Polygon {
    /// The corners in their order.
    pub fn corners(&self) -> &[[f64; 2]] {
        &self.corners
    }

    /// Whether a point is inside: a ray from it to the right crosses the edges an odd number of times. A point on the picture's
    /// lower or right edge is inside a polygon that reaches it.
    pub(crate) fn contains(&self, point: [f64; 2]) -> bool {
        // Upper and left edges belong to a polygon, lower and right ones do not: stay clear of the picture's own.
        let [x, y] = point.map(|value| value.clamp(0.0, 1.0 - f64::EPSILON));
        let crossed = edges(&self.corners).filter(|&((x1, y1), (x2, y2))| {
            (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
        });
        crossed.count() % 2 == 1
    }

    /// Draws the inside of the polygon and `margin` pixels round it on a mask that lies over the whole picture.
    pub(crate) fn draw(&self, mask: &mut Mask, margin: f32) {
        let Some(path) = self.path(mask.width(), mask.height()) else {
            return;
        };
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        let pen = Stroke {
            width: 2.0 * margin,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(outline) = path.stroke(&pen, 1.0) {
            mask.fill_path(&outline, FillRule::Winding, true, Transform::identity());
        }
    }

    fn path(&self, width: u32, height: u32) -> Option<Path> {
        let mut builder = PathBuilder::new();
        for (index, [x, y]) in self.corners.iter().enumerate() {
            let (x, y) = (x * f64::from(width), y * f64::from(height));
            let (x, y) = (x as f32, y as f32);
            if index == 0 {
                builder.move_to(x, y);
            } else {
                builder.line_to(x, y);
            }
        }
        builder.close();
        builder.finish()
    }

    fn area(&self) -> f64 {
        let twice: f64 = edges(&self.corners)
            .map(|(from, to)| from.0 * to.1 - to.0 * from.1)
            .sum();
        twice.abs() / 2.0
    }
}

impl TryFrom<Vec<[f64; 2]>> for Polygon {
    type Error = PolygonError;

    fn try_from(mut corners: Vec<[f64; 2]>) -> Result<Self, PolygonError> {
        // Some tools repeat the first corner to close a polygon.
        if corners.len() > 3 && corners.first() == corners.last() {
            corners.pop();
        }
        if !(3..=MAX_CORNERS).contains(&corners.len()) {
            return Err(PolygonError::Corners(corners.len()));
        }
        let inside = |value: &f64| (0.0..=1.0).contains(value);
        if let Some([x, y]) = corners.iter().find(|corner| !corner.iter().all(inside)) {
            return Err(PolygonError::Outside(*x, *y));
        }
        if let Some((first, second)) = crossing(&corners) {
            return Err(PolygonError::Crossing(first + 1, second + 1));
        }
        let polygon = Self { corners };
        if polygon.area() < MIN_AREA {
            return Err(PolygonError::Flat);
        }
        Ok(polygon)
    }
}

type Point = (f64, f64);

fn edges(corners: &[[f64; 2]]) -> impl Iterator<Item = (Point, Point)> {
    let point = |[x, y]: &[f64; 2]| (*x, *y);
    let next = corners.iter().cycle().skip(1);
    corners
        .iter()
        .zip(next)
        .map(move |(from, to)| (point(from), point(to)))
}

/// The first two edges that meet though they are no neighbours.
fn crossing(corners: &[[f64; 2]]) -> Option<(usize, usize)> {
    let edges: Vec<(Point, Point)> = edges(corners).collect();
    let pairs =
        (0..edges.len()).flat_map(|first| (first + 2..edges.len()).map(move |n| (first, n)));
    pairs
        // The last edge is the first one's neighbour.
        .filter(|&(first, second)| first != 0 || second != edges.len() - 1)
        .find(|&(first, second)| meet(edges[first], edges[second]))
}

/// Whether two segments have a point in common.
fn meet((a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    let side = |from: Point, to: Point, point: Point| {
        (to.0 - from.0) * (point.1 - from.1) - (to.1 - from.1) * (point.0 - from.0)
    };
    let between = |from: Point, to: Point, point: Point| {
        point.0 >= from.0.min(to.0)
            && point.0 <= from.0.max(to.0)
            && point.1 >= from.1.min(to.1)
            && point.1 <= from.1.max(to.1)
    };
    let (c_side, d_side) = (side(a, b, c), side(a, b, d));
    let (a_side, b_side) = (side(c, d, a), side(c, d, b));
    if c_side * d_side < 0.0 && a_side * b_side < 0.0 {
        return true;
    }
    (c_side == 0.0 && between(a, b, c))
        || (d_side == 0.0 && between(a, b, d))
        || (a_side == 0.0 && between(c, d, a))
        || (b_side == 0.0 && between(c, d, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_polygon() {
        let many: Vec<[f64; 2]> = (0..65)
            .map(|index| (f64::from(index) / 65.0 * std::f64::consts::TAU).sin_cos())
            .map(|(sin, cos)| [0.5 + 0.4 * sin, 0.5 + 0.4 * cos])
            .collect();
        let triangle = vec![[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]];
        let closed = vec![[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [0.0, 0.0]];
        let bow_tie = vec![[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]];
        let spike = vec![[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]];
        for (corners, refusal) in [
            (triangle, None),
            (closed, None),
            (many[..64].to_vec(), None),
            (many.clone(), Some(PolygonError::Corners(65))),
            (vec![[0.0, 0.0], [1.0, 1.0]], Some(PolygonError::Corners(2))),
            (vec![], Some(PolygonError::Corners(0))),
            (
                vec![[0.0, 0.0], [1.5, 0.0], [0.5, 1.0]],
                Some(PolygonError::Outside(1.5, 0.0)),
            ),
            (bow_tie, Some(PolygonError::Crossing(1, 3))),
            (spike, Some(PolygonError::Crossing(1, 3))),
            (
                vec![[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]],
                Some(PolygonError::Flat),
            ),
        ] {
            let shown = format!("{corners:?}");
            assert_eq!(Polygon::try_from(corners).err(), refusal, "{shown}");
        }
        let nan = vec![[0.0, f64::NAN], [1.0, 0.0], [0.5, 1.0]];
        assert!(matches!(
            Polygon::try_from(nan),
            Err(PolygonError::Outside(..))
        ));
    }

    #[test]
    fn who_stands_inside() {
        let whole = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let triangle = vec![[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]];
        // An L, whose upper right part is outside.
        let bent = vec![
            [0.0, 0.0],
            [0.5, 0.0],
            [0.5, 0.5],
            [1.0, 0.5],
            [1.0, 1.0],
            [0.0, 1.0],
        ];
        for (corners, point, inside) in [
            (&whole, [0.5, 0.5], true),
            (&whole, [0.0, 0.0], true),
            (&whole, [1.0, 1.0], true),
            (&whole, [0.3, 1.0], true),
            (&whole, [1.2, -0.1], true),
            (&triangle, [0.5, 0.5], true),
            (&triangle, [0.25, 0.7], false),
            (&triangle, [0.5, 0.81], false),
            (&triangle, [0.5, 0.2], true),
            (&bent, [0.75, 0.25], false),
            (&bent, [0.25, 0.25], true),
            (&bent, [0.75, 0.75], true),
            (&bent, [1.0, 0.75], true),
        ] {
            for corners in [corners.clone(), corners.iter().rev().copied().collect()] {
                let shown = format!("{corners:?} {point:?}");
                let polygon = Polygon::try_from(corners).unwrap();
                assert_eq!(polygon.contains(point), inside, "{shown}");
            }
        }
    }

    #[test]
    fn a_polygon_covers_its_inside_and_a_margin() {
        let corners = vec![[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]];
        let polygon = Polygon::try_from(corners).unwrap();
        let mut mask = Mask::new(40, 20).unwrap();
        polygon.draw(&mut mask, 2.0);
        let at = |x: usize, y: usize| mask.data()[y * 40 + x] > 0;
        // The inside is 10..30 by 5..15.
        for (x, y, covered) in [
            (10, 5, true),
            (29, 14, true),
            (8, 10, true),
            (7, 10, false),
            (20, 3, true),
            (20, 2, false),
            (33, 10, false),
        ] {
            assert_eq!(at(x, y), covered, "{x} {y}");
        }
    }
}
