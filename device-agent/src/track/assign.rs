use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Steps into which the likeness of two boxes is divided: the algorithm adds and compares whole numbers exactly.
const STEPS: f32 = 1e6;

/// Pairs objects with boxes so that the sum of their likeness beyond `least` is as large as it can be (Kuhn 1955,
/// Munkres 1957). A pair below `least` is none. The pairs are in the order of the objects.
pub(super) fn assign(
    objects: &[usize],
    boxes: &[usize],
    least: f32,
    likeness: impl Fn(usize, usize) -> f32,
) -> Vec<(usize, usize)> {
    let weight = |&object: &usize, &found: &usize| {
        let beyond = likeness(object, found) - least;
        // What is exactly as like as it must be still counts.
        if beyond >= 0.0 {
            (beyond * STEPS) as i64 + 1
        } else {
            0
        }
    };
    // Most objects are like no box but their own: who has no choice at all only makes the matrix larger.
    let pairs = |object: &usize| boxes.iter().any(|found| weight(object, found) > 0);
    let objects: Vec<usize> = objects.iter().copied().filter(pairs).collect();
    let pairs = |found: &usize| objects.iter().any(|object| weight(object, found) > 0);
    let boxes: Vec<usize> = boxes.iter().copied().filter(pairs).collect();
    if objects.is_empty() {
        return Vec::new();
    }
    // The algorithm wants no more rows than columns.
    let mut assigned: Vec<(usize, usize)> = if objects.len() <= boxes.len() {
        let weights = weights(&objects, &boxes, weight);
        let (_, columns) = kuhn_munkres(&weights);
        objects
            .iter()
            .zip(columns)
            .map(|(&object, column)| (object, boxes[column]))
            .collect()
    } else {
        let weights = weights(&boxes, &objects, |found, object| weight(object, found));
        let (_, columns) = kuhn_munkres(&weights);
        boxes
            .iter()
            .zip(columns)
            .map(|(&found, column)| (objects[column], found))
            .collect()
    };
    assigned.retain(|(object, found)| weight(object, found) > 0);
    assigned.sort_unstable();
    assigned
}

fn weights(
    rows: &[usize],
    columns: &[usize],
    weight: impl Fn(&usize, &usize) -> i64,
) -> Matrix<i64> {
    Matrix::from_fn(rows.len(), columns.len(), |(row, column)| {
        weight(&rows[row], &columns[column])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_sum_wins_over_the_best_pair() {
        let rows: [&[f32]; 3] = [&[0.9, 0.8, 0.0], &[0.85, 0.1, 0.0], &[0.0, 0.0, 0.3]];
        for (least, expected) in [
            // 0.8 + 0.85 beats 0.9 + 0.1.
            (0.05, vec![(0, 1), (1, 0), (2, 2)]),
            (0.35, vec![(0, 1), (1, 0)]),
            (0.3, vec![(0, 1), (1, 0), (2, 2)]),
            (0.82, vec![(0, 0)]),
            (0.95, vec![]),
        ] {
            let like = |row: usize, column: usize| rows[row][column];
            assert_eq!(
                assign(&[0, 1, 2], &[0, 1, 2], least, like),
                expected,
                "{least}"
            );
        }
    }

    #[test]
    fn some_may_be_left_over_on_either_side() {
        let like = |object: usize, found: usize| if object == found { 0.9 } else { 0.3 };
        assert_eq!(assign(&[1, 2], &[0, 2, 1], 0.2, like), [(1, 1), (2, 2)]);
        assert_eq!(assign(&[0, 1, 2], &[2], 0.2, like), [(2, 2)]);
        assert_eq!(assign(&[], &[2], 0.2, like), []);
        assert_eq!(assign(&[1], &[], 0.2, like), []);
        assert_eq!(assign(&[1], &[2], 0.5, like), []);
    }

    #[test]
    fn it_is_the_best_of_all_permutations() {
        let mut state = 7_u32;
        let mut roll = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 20) as u16) / 4096.0
        };
        for _ in 0..50 {
            let rows: Vec<[f32; 4]> = (0..4).map(|_| std::array::from_fn(|_| roll())).collect();
            let like = |row: usize, column: usize| rows[row][column];
            let gain = |pairs: &[(usize, usize)]| -> f32 {
                pairs
                    .iter()
                    .map(|&(row, column)| like(row, column) - 0.5)
                    .sum()
            };
            let found = gain(&assign(&[0, 1, 2, 3], &[0, 1, 2, 3], 0.5, like));
            let best = permutations(4)
                .iter()
                .map(|columns| {
                    columns
                        .iter()
                        .enumerate()
                        .map(|(row, &column)| (like(row, column) - 0.5).max(0.0))
                        .sum::<f32>()
                })
                .fold(0.0, f32::max);
            assert!((found - best).abs() < 1e-4, "{found}, the best is {best}");
        }
    }

    fn permutations(count: usize) -> Vec<Vec<usize>> {
        if count == 0 {
            return vec![Vec::new()];
        }
        permutations(count - 1)
            .into_iter()
            .flat_map(|shorter| {
                (0..count).map(move |at| {
                    let mut longer = shorter.clone();
                    longer.insert(at, count - 1);
                    longer
                })
            })
            .collect()
    }
}
