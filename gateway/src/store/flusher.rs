use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Callers that may wait for one flush; more wait for a place first.
const MAX_WAITERS: usize = 4096;

type Waiter = oneshot::Sender<Result<(), String>>;

/// Brings what was written to the disk, on a thread of its own, once for all who wait.
///
/// sled's own `flush_async` must never be used: each call takes a thread of sled's small pool and waits there for a
/// write that needs a thread of the same pool. As many callers at once as the pool has threads stop it for ever.
#[derive(Debug)]
pub(super) struct Flusher {
    waiters: Option<mpsc::Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread for the database in `path`.
    ///
    /// # Errors
    /// When the data file cannot be opened or no thread can be had.
    pub(super) fn start(db: sled::Db, path: &Path) -> io::Result<Self> {
        // sled's flush leaves the last step, to the disk's platter, to the kernel.
        let file = File::open(path.join("db"))?;
        let (waiters, queue) = mpsc::channel(MAX_WAITERS);
        let thread = thread::Builder::new().name("store-flush".into());
        let thread = thread.spawn(move || serve(&db, &file, queue))?;
        Ok(Self {
            waiters: Some(waiters),
            thread: Some(thread),
        })
    }

    /// Returns when everything that was written before the call is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let (done, flushed) = oneshot::channel();
        let waiters = self.waiters.as_ref().ok_or_else(gone)?;
        waiters.send(done).await.map_err(|_| gone())?;
        outcome(flushed.await)
    }

    /// [`Self::flush`] for a thread that may block.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn flush_blocking(&self) -> Result<(), StoreError> {
        let (done, flushed) = oneshot::channel();
        let waiters = self.waiters.as_ref().ok_or_else(gone)?;
        waiters.blocking_send(done).map_err(|_| gone())?;
        outcome(flushed.blocking_recv())
    }
}

impl Drop for Flusher {
    /// Waits for the thread: the store's lock is free only once its last handle is gone.
    fn drop(&mut self) {
        self.waiters.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already failed its waiters.
            let _ = thread.join();
        }
    }
}

fn serve(db: &sled::Db, file: &File, mut queue: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        waiting.push(first);
        while let Ok(next) = queue.try_recv() {
            waiting.push(next);
        }
        let flushed = db.flush().map_err(|error| error.to_string());
        let flushed = flushed.and_then(|_| file.sync_data().map_err(|error| error.to_string()));
        for waiter in waiting.drain(..) {
            // Whoever has stopped waiting does not need to know.
            let _ = waiter.send(flushed.clone());
        }
    }
}

fn outcome(flushed: Result<Result<(), String>, RecvError>) -> Result<(), StoreError> {
    flushed
        .map_err(|_| gone())?
        .map_err(|reason| StoreError::Flush(io::Error::other(reason)))
}

fn gone() -> StoreError {
    StoreError::Flush(io::Error::other("the thread that flushes is gone"))
}
