use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::chained::Chained;
use crate::store::{self, Store};

/// Exports the store from time to time, for the day on which it is damaged.
pub(super) async fn back_up(
    store: Store,
    folder: PathBuf,
    every: Duration,
    shutdown: CancellationToken,
) {
    if every.is_zero() {
        return;
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let (store, folder) = (store.clone(), folder.clone());
        let written = tokio::task::spawn_blocking(move || store::back_up(&store, &folder));
        match written.await {
            Ok(Ok(records)) => tracing::debug!(records, "the store is exported"),
            Ok(Err(error)) => tracing::warn!(error = %Chained(&error), "the store is not exported"),
            Err(error) => tracing::warn!(%error, "the store is not exported"),
        }
    }
}
