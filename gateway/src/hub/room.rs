//! Makes room in memory when all rings together take too much: the largest give first.

use super::Hub;

impl Hub {
    /// Takes from the largest rings until all together take less than they may. No lock of a ring may be held.
    pub(super) fn make_room(&self) {
        // Somebody else is at it.
        let Some(_one_at_a_time) = self.0.making_room.try_lock() else {
            return;
        };
        if !self.0.budget.is_exceeded() {
            return;
        }
        let open: Vec<_> = self.0.channels.read().open.values().cloned().collect();
        let sizes = open.iter().map(|channel| channel.lock().ring.bytes());
        let level = level(sizes.collect(), self.0.budget.target());
        for channel in open {
            channel.lock().ring.shrink_to(level);
        }
    }
}

/// The size to which all that are larger have to shrink, so that all together are no larger than `target`: whoever takes
/// less than an equal share gives nothing.
fn level(mut sizes: Vec<usize>, target: usize) -> usize {
    sizes.sort_unstable();
    let (mut left, mut rings) = (target, sizes.len());
    for size in sizes {
        let share = left / rings;
        if size > share {
            return share;
        }
        left -= size;
        rings -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_give_first() {
        for (sizes, target, expected) in [
            (vec![], 10, usize::MAX),
            (vec![3, 4], 10, usize::MAX),
            (vec![5, 5], 10, usize::MAX),
            (vec![1, 2, 100], 10, 7),
            (vec![100, 1, 90, 2], 23, 10),
            (vec![8, 8, 8], 10, 3),
            (vec![4], 0, 0),
        ] {
            let level_is = level(sizes.clone(), target);
            assert_eq!(level_is, expected, "{sizes:?}");
            let after: usize = sizes.iter().map(|size| size.min(&level_is)).sum();
            assert!(after <= target, "{sizes:?}");
        }
    }
}
