//! What earlier starts have left of streams that the device no longer has.

use ashya_protocol::StreamName;
use ashya_protocol::limits::MAX_STREAMS;
use tokio::task::spawn_blocking;
use tracing::info;

use crate::data::{DataDir, DataError};
use crate::link::SpoolPlace;
use crate::spool::Spool;

/// Streams that are not configured any more, and whose events still wait on the disk. The gateway takes the events of
/// those streams alone that the device names, so it goes on naming them until the first start after they are sent.
#[derive(Debug)]
pub(super) struct Leftovers {
    pub(super) streams: Vec<StreamName>,
    /// The spool, where it had to be opened to know.
    pub(super) spool: Option<Box<Spool>>,
}

impl Leftovers {
    /// Looks for those of streams that were registered last and are not `named` now.
    ///
    /// # Errors
    /// When the last registration cannot be read.
    pub(super) async fn find(
        data: &DataDir,
        place: &SpoolPlace,
        named: &[StreamName],
    ) -> Result<Self, DataError> {
        let mut streams = data.registered_streams()?;
        streams.retain(|stream| !named.contains(stream));
        if streams.is_empty() {
            let spool = None;
            return Ok(Self { streams, spool });
        }
        let place = place.clone();
        let opened = spawn_blocking(move || place.open()).await;
        let spool = opened.ok().and_then(Result::ok).map(Box::new);
        // Where the disk cannot be read now, any of them may be on it.
        if let Some(spool) = &spool {
            let waiting = spool.streams();
            streams.retain(|stream| waiting.contains(stream));
        }
        streams.truncate(MAX_STREAMS.saturating_sub(named.len()));
        if !streams.is_empty() {
            let names: Vec<_> = streams.iter().map(StreamName::as_str).collect();
            info!(
                streams = names.join(", "),
                "events of streams that are not configured any more may wait on the disk; they are still sent"
            );
        }
        Ok(Self { streams, spool })
    }
}
