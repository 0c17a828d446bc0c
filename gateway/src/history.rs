//! The past on disk: who reads of it what they have paid for, and what is no longer kept.
//!
//! ```text
//!  ingest ──► Positions: one write, one flush ──► store::history ──pages──► Viewer ──► joins the ring of the Hub
//! ```
//!
//! A page is read when the one before it is written out, on a thread that may block, by a few readers at a time.

mod page;
mod pruner;

use std::sync::Arc;

use ashya_protocol::{FeedId, Position, StreamName};
use tokio::sync::Semaphore;

use crate::chained::Chained;
use crate::ledger_index::Paid;
use crate::positions::Positions;
use crate::store::Store;
use crate::stream::StreamKey;

pub(crate) use page::{Item, Page};

/// Most pages that are read at a time: more would only wait for the same disk.
const READERS: usize = 4;

/// History on disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct History {
    store: Store,
    positions: Positions,
    readers: Arc<Semaphore>,
}

/// What a wallet has of one feed that sells a stream.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) feed: FeedId,
    /// What it has paid; nothing for the owner, who sees everything.
    pub(crate) paid: Option<Paid>,
}

/// What is asked of the disk.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: StreamKey,
    pub(crate) after: Position,
    /// Unix second of chain time before which nothing is wanted: at most some minutes of it are looked at.
    pub(crate) from: u64,
    pub(crate) rights: Vec<Right>,
    /// Whether all that is accepted by now has to be on the disk first.
    pub(crate) settled: bool,
}

/// History cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("history cannot be read")]
pub(crate) struct Unreadable;

impl History {
    /// History of a store, into which `positions` writes.
    pub fn new(store: Store, positions: Positions) -> Self {
        Self {
            store,
            positions,
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Whether a stream is kept.
    pub(crate) fn keeps(&self, stream: &StreamName) -> bool {
        self.positions.kept().keeps(stream)
    }

    /// The next page of what a request has paid for. Blocks no async thread.
    ///
    /// # Errors
    /// When the store fails; the log says why.
    pub(crate) async fn page(self, request: Request) -> Result<Page, Unreadable> {
        if request.settled {
            self.positions.settled().await;
        }
        let reader = self.readers.clone().acquire_owned().await;
        let reader = reader.map_err(|_| Unreadable)?;
        let trees = self.store.history.clone();
        let read = tokio::task::spawn_blocking(move || {
            let page = page::read(&trees, &request);
            drop(reader);
            page
        });
        match read.await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => {
                tracing::error!(error = %Chained(&error), "history cannot be read");
                Err(Unreadable)
            }
            Err(error) => {
                tracing::error!(%error, "history cannot be read");
                Err(Unreadable)
            }
        }
    }
}

impl Right {
    /// Whether the wallet may see an event that was accepted at a Unix second, while some feeds sold it.
    fn covers(&self, at: u64, sold: impl IntoIterator<Item = FeedId>) -> bool {
        let was_sold = || sold.into_iter().any(|feed| feed == self.feed);
        match &self.paid {
            None => true,
            Some(paid) => paid.paid_time_at(at).is_some() && was_sold(),
        }
    }
}
