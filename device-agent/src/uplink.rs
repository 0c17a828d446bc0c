//! Where whoever has something to publish hands it to the link.

use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use crate::outbox::{Fate, Receipt};
use crate::voice::Signed;

/// Parcels between those who speak and the link, which takes them at once unless it is stuck. Whoever finds it full
/// waits: the eye then sees fewer frames, and a command that publishes reads its input more slowly.
const PARCELS: usize = 16;

/// The entrance to the link. Cheap to clone, for any thread or task.
#[derive(Debug, Clone)]
pub(crate) struct Uplink(Sender<Parcel>);

/// What is handed over together.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// A picture that is worth sending only now: at most once, and dropped where there is no connection.
    pub(crate) picture: Option<Signed>,
    /// What must arrive: at least once, each stream in the order in which it is handed over.
    pub(crate) events: Vec<Signed>,
    /// Where the fate of the last event is told, once.
    pub(crate) receipt: Option<Receipt>,
}

/// The link has ended; nothing is published any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nothing is published any more")]
pub(crate) struct LinkGone;

impl Uplink {
    /// An entrance, and where the link takes what comes in by it.
    pub(crate) fn new() -> (Self, Receiver<Parcel>) {
        let (sender, parcels) = channel(PARCELS);
        (Self(sender), parcels)
    }

    /// Hands a parcel over; waits while the link has no room.
    ///
    /// # Errors
    /// When the link has ended.
    pub(crate) async fn send(&self, parcel: impl Into<Parcel>) -> Result<(), LinkGone> {
        self.0.send(parcel.into()).await.map_err(|_| LinkGone)
    }

    /// Hands an event over, and gives back where its fate is told: nothing where the link ends before.
    ///
    /// # Errors
    /// When the link has ended.
    pub(crate) async fn post(&self, event: Signed) -> Result<oneshot::Receiver<Fate>, LinkGone> {
        let (receipt, fate) = oneshot::channel();
        let parcel = Parcel {
            receipt: Some(receipt),
            ..event.into()
        };
        self.send(parcel).await?;
        Ok(fate)
    }

    /// Hands a parcel over, from a thread that may block while the link has no room.
    ///
    /// # Errors
    /// When the link has ended.
    pub(crate) fn send_blocking(&self, parcel: impl Into<Parcel>) -> Result<(), LinkGone> {
        self.0.blocking_send(parcel.into()).map_err(|_| LinkGone)
    }
}

impl From<Signed> for Parcel {
    fn from(event: Signed) -> Self {
        Self {
            picture: None,
            events: vec![event],
            receipt: None,
        }
    }
}
