use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// How long the last flush may take when the store is closed.
const PATIENCE: Duration = Duration::from_secs(2);
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
    /// Hears of nothing but the thread's end.
    ended: Mutex<std_mpsc::Receiver<Infallible>>,
}

impl Flusher {
    /// Starts the thread for the database in `path`.
    ///
    /// # Errors
    /// When the data file cannot be opened or no thread can be had.
    pub(super) fn start(db: sled::Db, path: &Path) -> io::Result<Self> {
        let file = File::open(path.join("db"))?;
        let (waiters, queue) = mpsc::channel(MAX_WAITERS);
        let thread = thread::Builder::new().name("store-flush".into());
        let mut disk = Disk {
            file,
            blobs: path.join("blobs"),
            synced: HashSet::new(),
        };
        let (alive, ended) = std_mpsc::channel();
        let thread = thread.spawn(move || {
            let _alive = alive;
            serve(&db, &mut disk, queue);
        })?;
        Ok(Self {
            waiters: Some(waiters),
            thread: Some(thread),
            ended: Mutex::new(ended),
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
    /// Waits for the thread: the store's lock is free only once its last handle is gone. A thread that the disk holds is
    /// left, so that the process can end.
    fn drop(&mut self) {
        self.waiters.take();
        let ended = self.ended.get_mut().recv_timeout(PATIENCE);
        if ended == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread has already failed its waiters.
            let _ = thread.join();
        }
    }
}

/// The files of the database, of which sled leaves the last step to the kernel: to the disk's platter.
struct Disk {
    file: File,
    /// Here sled puts what is large, each in a file of its own that is written once.
    blobs: PathBuf,
    synced: HashSet<OsString>,
}

impl Disk {
    /// Brings to the disk what was written before the call.
    fn flush(&mut self, db: &sled::Db) -> io::Result<()> {
        // Listed before sled's flush, which waits for whoever is still writing one of these.
        let blobs = self.list_blobs()?;
        db.flush().map_err(io::Error::other)?;
        self.sync_blobs(blobs)?;
        self.file.sync_data()
    }

    fn list_blobs(&self) -> io::Result<HashSet<OsString>> {
        let entries = fs::read_dir(&self.blobs)?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Without it a power cut could leave an empty blob, at which sled would cut off all of its log that comes after.
    fn sync_blobs(&mut self, blobs: HashSet<OsString>) -> io::Result<()> {
        let mut new = blobs.difference(&self.synced).peekable();
        // The names too.
        let folder = new
            .peek()
            .is_some()
            .then(|| File::open(&self.blobs))
            .transpose()?;
        for name in new {
            match File::open(self.blobs.join(name)) {
                Ok(blob) => blob.sync_data()?,
                // sled no longer needs it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(folder) = folder {
            folder.sync_all()?;
        }
        self.synced = blobs;
        Ok(())
    }
}

fn serve(db: &sled::Db, disk: &mut Disk, mut queue: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        waiting.push(first);
        while let Ok(next) = queue.try_recv() {
            waiting.push(next);
        }
        let flushed = disk.flush(db).map_err(|error| error.to_string());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sled_keeps_in_files_of_its_own_is_brought_to_the_disk_too() {
        let folder = tempfile::tempdir().unwrap();
        let db = sled::open(folder.path()).unwrap();
        let mut disk = Disk {
            file: File::open(folder.path().join("db")).unwrap(),
            blobs: folder.path().join("blobs"),
            synced: HashSet::new(),
        };
        for (key, bytes, blobs) in [("small", 100, 0), ("large", 200_000, 1)] {
            db.insert(key, vec![7; bytes]).unwrap();
            disk.flush(&db).unwrap();
            assert_eq!(disk.synced.len(), blobs, "{key}");
        }
    }
}
