use std::cell::Cell;
use std::future::Future;

use ashya_contracts::Progress;

/// How far a step came on its way to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It was still being prepared, or the node refused it: nothing was sent.
    Unsent,
    /// It was handed to the node. Whatever failed then, it may be on the chain.
    Maybe,
}

tokio::task_local! {
    /// A wallet's watcher is a plain function, so the task that sends carries what it notes.
    static REACH: Cell<Reach>;
}

/// Notes how far the step of this task came: the watcher of the wallet that sends it.
pub(super) fn note(progress: &Progress) {
    let reach = match progress {
        Progress::Estimated { .. } | Progress::Asked | Progress::Refused => Reach::Unsent,
        Progress::Signed | Progress::Sent { .. } => Reach::Maybe,
    };
    // Where no step is under way nobody asks how far it came.
    let _ = REACH.try_with(|noted| noted.set(reach));
}

/// Sends a step, and tells how far it came beside how it ended. Its wallet must have [`note`] for a watcher.
pub(super) async fn with_reach<T>(step: impl Future<Output = T>) -> (T, Reach) {
    let noted = async {
        let outcome = step.await;
        (outcome, REACH.with(Cell::get))
    };
    REACH.scope(Cell::new(Reach::Unsent), noted).await
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Hash, Wei};

    use super::*;

    #[tokio::test]
    async fn a_step_is_unsent_until_it_goes_to_the_node_and_where_the_node_refuses_it() {
        let estimated = Progress::Estimated {
            gas: 45_000,
            most: Wei::new(1),
        };
        let sent = Progress::Sent {
            transaction: Hash::new([1; 32]),
        };
        for (progress, expected) in [
            (vec![], Reach::Unsent),
            (vec![estimated], Reach::Unsent),
            (vec![estimated, Progress::Signed], Reach::Maybe),
            (
                vec![estimated, Progress::Signed, Progress::Refused],
                Reach::Unsent,
            ),
            (vec![estimated, Progress::Signed, sent], Reach::Maybe),
        ] {
            // Each step is a task of its own, so none hears of another's.
            let step = async { progress.iter().for_each(note) };
            let ((), reach) = with_reach(step).await;
            assert_eq!(reach, expected, "{progress:?}");
        }
        note(&estimated);
    }
}
