//! Times and counts of a socket, each with its reason.

use std::time::Duration;

/// Time for the first message, which must be `auth`.
pub(super) const AUTH_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between pings; middle boxes drop idle connections after a minute.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A client from which nothing was heard for so long, three pings, is gone.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(60);

/// A client that does not take a batch in this time stays behind for good.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a goodbye.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most messages in one write: one TCP send for many small events.
pub(crate) const BATCH_MESSAGES: usize = 64;

/// Most bytes of events in one write.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;

/// Malformed messages that are answered; one more ends the socket.
pub(super) const MAX_MALFORMED: u32 = 5;

/// How long before the end of access a client is reminded.
pub(super) const EXPIRY_NOTICE_SECONDS: u64 = 30;
