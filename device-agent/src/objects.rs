//! What becomes of each object that is followed: it comes, changes, and goes, and its best picture stays.
//!
//! ```text
//!  tracked boxes ─► zones, stillness ─► new, update, end   (stream `objects`)
//!            └────► best picture ─────────────────► JPEG   (stream `snapshots`)
//! ```
//!
//! Only confirmed objects come here, so a ghost of the detector is never told.

mod lifecycle;
mod snapshots;
mod stillness;

pub use self::lifecycle::ObjectRules;
pub(crate) use self::lifecycle::{Moment, Objects, Sighting};
pub(crate) use self::snapshots::{Snapshot, Snapshots};
