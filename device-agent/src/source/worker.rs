use std::io;
use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;

/// A thread with an async runtime of its own, which reads one source. It ends with this value.
#[derive(Debug)]
pub(super) struct Worker {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `work` until it ends or the worker is dropped.
    ///
    /// # Errors
    /// When the system has no thread or no event queue for it.
    pub(super) fn spawn<F>(name: &str, work: F) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(work));
            // A look-up of a name may hang for long; nobody waits for it.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the worker has shown itself as the end of the source.
            let _ = thread.join();
        }
    }
}
