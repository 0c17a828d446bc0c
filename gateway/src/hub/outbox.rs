use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::queue::{Pushed, Queue, Queued};
use super::{Message, StreamKey};

/// The bounded queue between the hub and one socket. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Notify,
}

/// The socket has let so much wait that it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflown;

impl Outbox {
    pub(super) fn push(&self, message: Arc<Message>) -> Pushed {
        let pushed = self.0.queue.lock().push(message);
        self.0.filled.notify_one();
        pushed
    }

    /// Waits until something may be there to pop.
    pub(crate) async fn filled(&self) {
        self.0.filled.notified().await;
    }

    /// The next thing to write, if there is one.
    ///
    /// # Errors
    /// When the socket has stayed behind for too long.
    pub(crate) fn pop(&self) -> Result<Option<Queued>, Overflown> {
        let mut queue = self.0.queue.lock();
        if queue.is_overflown() {
            return Err(Overflown);
        }
        Ok(queue.pop())
    }

    /// Takes out everything of one stream.
    pub(super) fn forget(&self, key: &StreamKey) {
        self.0.queue.lock().forget(key);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
