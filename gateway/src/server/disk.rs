//! Whether the store can still be written.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::chained::Chained;
use crate::store::{Store, StoreError};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the store may fail. Its database keeps the first failed write in mind until it is opened anew, so that
/// waiting longer helps nobody.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one look may take. Where the failed write was a large one, the database waits for its end for ever; a disk
/// that is merely slow is given time.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the store has failed for so long that only opening it anew can help; gives back what is wrong.
pub(super) async fn failure(store: Store) -> StoreError {
    let mut fails_since = None;
    loop {
        sleep(INTERVAL).await;
        let Ok(flushed) = timeout(LOOK_TIMEOUT, store.flush()).await else {
            return StoreError::Flush(ErrorKind::TimedOut.into());
        };
        match flushed {
            Ok(()) => fails_since = None,
            Err(error) => {
                let since = *fails_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    return error;
                }
                tracing::error!(error = %Chained(&error), "the store cannot be written; the gateway ends if that lasts");
            }
        }
    }
}
