//! Stills of feeds whose owners ask for them: one picture a feed, as old as the owner says at least.
//!
//! ```text
//!  picture ──► waits for the delay, one at a time ──► shown, until the next has waited
//! ```
//!
//! So nobody sees a feed grow without paying: a still changes once in a delay at most. Pictures are in memory alone; a
//! gateway that starts anew shows none until the first has waited again, and none from before the owner asked. All of them
//! together have a bound: where it is reached, the device that holds the most loses its oldest, as in history.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::rest::PreviewSetting;
use ashya_protocol::{Address, ContentType, DeviceId, Event, FeedId, StreamName};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::access;
use crate::ledger_index::{FeedView, LedgerIndex};
use crate::store::{Store, StoreError};

/// Largest picture that is shown; an agent's is some 50 kB.
const MAX_BYTES: usize = 256 * 1024;
/// Most bytes of all pictures together: two of an agent's for each of 1,300 feeds.
const MAX_TOTAL_BYTES: usize = 128 * 1024 * 1024;
/// The first bytes of every JPEG.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// What is shown to everybody. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Previews {
    store: Store,
    feeds: Arc<RwLock<HashMap<FeedId, Preview>>>,
    /// Bytes that are left of [`MAX_TOTAL_BYTES`].
    room: Arc<Semaphore>,
}

/// One feed's word, and what it shows.
#[derive(Debug)]
struct Preview {
    wish: Wish,
    waiting: Option<Still>,
    shown: Option<Still>,
}

/// What the owner of a feed asked for. It holds as long as they own it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    owner: Address,
    delay_seconds: u64,
}

/// A picture of a device.
#[derive(Debug, Clone)]
pub(crate) struct Still {
    device: DeviceId,
    pub(crate) jpeg: Arc<[u8]>,
    taken: Instant,
    /// Given back with the last feed that holds the picture.
    _room: Arc<OwnedSemaphorePermit>,
}

/// What `GET` of a preview finds.
#[derive(Debug)]
pub(crate) enum Shown {
    /// The owner did not ask for any.
    Off,
    /// No picture has waited long enough yet.
    NotYet,
    Still(Still),
}

impl Previews {
    /// Reads what owners asked for.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: Store) -> Result<Self, StoreError> {
        let wishes = store.previews.load::<Wish>()?.into_iter();
        let feeds = wishes
            .map(|(key, wish)| {
                let id: [u8; 32] = key.try_into().map_err(|_| StoreError::Key)?;
                Ok((FeedId::new(id), Preview::new(wish)))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            store,
            feeds: Arc::new(RwLock::new(feeds)),
            room: Arc::new(Semaphore::new(MAX_TOTAL_BYTES)),
        })
    }

    /// Shows stills of a feed of `owner` from now on. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn show(
        &self,
        feed: FeedId,
        owner: Address,
        setting: PreviewSetting,
    ) -> Result<(), StoreError> {
        let wish = Wish {
            owner,
            delay_seconds: setting.delay_seconds,
        };
        self.store.previews.put(feed.as_bytes(), &wish)?;
        {
            let mut feeds = self.feeds.write();
            // What has waited for another delay, or was shown by another owner, goes.
            if feeds.get(&feed).is_none_or(|preview| preview.wish != wish) {
                feeds.insert(feed, Preview::new(wish));
            }
        }
        self.store.flush().await
    }

    /// Shows nothing of a feed any more.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn hide(&self, feed: FeedId) -> Result<(), StoreError> {
        self.feeds.write().remove(&feed);
        self.store.previews.remove(feed.as_bytes())?;
        self.store.flush().await
    }

    /// Takes an accepted event, of which only pictures of feeds with a preview are kept, one at a time.
    pub(crate) fn see(&self, event: &Event, index: &LedgerIndex, now: Instant, unix: u64) {
        if event.stream.as_str() != StreamName::FRAMES || self.feeds.read().is_empty() {
            return;
        }
        let is_still = event.content_type.as_str() == ContentType::JPEG
            && event.payload.len() <= MAX_BYTES
            && event.payload.starts_with(&JPEG);
        if !is_still {
            return;
        }
        let mut feeds = self.feeds.write();
        let mut wanting = index.feeds_of_device(event.device);
        wanting.retain(|feed| {
            let (Some(preview), Some(view)) = (feeds.get_mut(feed), index.feed(*feed)) else {
                return false;
            };
            preview.ripen(now);
            preview.forget_what_is_not_of(&view);
            let is_shown = !stands_still(&view, unix) && view.owner == preview.wish.owner;
            is_shown && preview.waiting.is_none()
        });
        if wanting.is_empty() {
            return;
        }
        let Some(room) = self.room_for(event.device, event.payload.len(), &mut feeds) else {
            return;
        };
        let still = Still {
            device: event.device,
            jpeg: event.payload.clone(),
            taken: now,
            _room: Arc::new(room),
        };
        for feed in wanting {
            if let Some(preview) = feeds.get_mut(&feed) {
                preview.waiting = Some(still.clone());
            }
        }
    }

    /// Room for so many bytes of a device. Where there is none, whoever would hold the most loses its oldest picture, until
    /// there is; the device itself gets none when that is its only one.
    fn room_for(
        &self,
        device: DeviceId,
        bytes: usize,
        feeds: &mut HashMap<FeedId, Preview>,
    ) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).ok()?;
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(permits) {
                return Some(room);
            }
            let oldest = oldest_of_the_largest(device, bytes, feeds)?;
            for preview in feeds.values_mut() {
                preview.forget(&oldest);
            }
        }
    }

    /// What is shown of a feed at this moment: nothing of another owner's time or another device, nothing while its clock
    /// stands still.
    pub(crate) fn of(&self, feed: &FeedView, now: Instant, unix: u64) -> Shown {
        let mut feeds = self.feeds.write();
        let preview = feeds.get_mut(&feed.id);
        let Some(preview) = preview.filter(|preview| preview.wish.owner == feed.owner) else {
            return Shown::Off;
        };
        preview.ripen(now);
        preview.forget_what_is_not_of(feed);
        let shown = preview.shown.clone();
        shown
            .filter(|_| !stands_still(feed, unix))
            .map_or(Shown::NotYet, Shown::Still)
    }
}

/// Whether a feed's clock stands still at this Unix second of chain time: in a pause, or for good once it is retired.
fn stands_still(feed: &FeedView, unix: u64) -> bool {
    feed.clock.paused_at.is_some() || access::has_ended(&feed.clock, unix)
}

/// The oldest picture of the device that holds the most bytes once `newcomer` has so many more, which loses a draw.
fn oldest_of_the_largest(
    newcomer: DeviceId,
    bytes: usize,
    feeds: &HashMap<FeedId, Preview>,
) -> Option<Arc<[u8]>> {
    let mut held: HashMap<DeviceId, (usize, Option<&Still>)> = HashMap::new();
    held.insert(newcomer, (bytes, None));
    let mut seen = HashSet::new();
    for still in feeds.values().flat_map(Preview::stills) {
        // Feeds of one device share a picture.
        if seen.insert(still.jpeg.as_ptr()) {
            let (bytes, oldest) = held.entry(still.device).or_default();
            *bytes += still.jpeg.len();
            let older = oldest.filter(|oldest| oldest.taken <= still.taken);
            *oldest = older.or(Some(still));
        }
    }
    let largest = held
        .into_iter()
        .max_by_key(|(device, (bytes, _))| (*bytes, *device == newcomer));
    let (_, (_, oldest)) = largest?;
    Some(Arc::clone(&oldest?.jpeg))
}

impl Preview {
    const fn new(wish: Wish) -> Self {
        Self {
            wish,
            waiting: None,
            shown: None,
        }
    }

    /// Forgets the stills of another device, and all when somebody else owns the feed.
    fn forget_what_is_not_of(&mut self, feed: &FeedView) {
        let is_other =
            |still: &mut Still| still.device != feed.device || self.wish.owner != feed.owner;
        self.waiting.take_if(is_other);
        self.shown.take_if(is_other);
    }

    fn stills(&self) -> impl Iterator<Item = &Still> {
        self.waiting.iter().chain(&self.shown)
    }

    fn forget(&mut self, jpeg: &Arc<[u8]>) {
        let is_it = |still: &mut Still| Arc::ptr_eq(&still.jpeg, jpeg);
        self.waiting.take_if(is_it);
        self.shown.take_if(is_it);
    }

    /// Shows the picture that waits, once it has waited long enough.
    fn ripen(&mut self, now: Instant) {
        let delay = Duration::from_secs(self.wish.delay_seconds);
        let ripe = self.waiting.take_if(|still| still.taken + delay <= now);
        self.shown = ripe.or(self.shown.take());
    }
}
