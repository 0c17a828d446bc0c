//! Which box of this frame is which object of the frames before.
//!
//! ByteTrack (Zhang et al., ECCV 2022, arXiv 2110.06864): a Kalman filter says where each object should be by now, sure
//! boxes are assigned to objects first, and unsure ones, which a detector gives for what is half hidden, only carry on
//! objects that are known already.
//!
//! ```text
//!  sure boxes ──1──► objects that are seen or hidden ──rest──► new objects, confirmed after a few frames
//!                       │ rest of the seen
//!  unsure boxes ──2─────┘
//! ```
//!
//! Time is what has passed between the frames, so that a slow or stuttering source moves objects as far as a steady one.

mod assign;
mod motion;
mod options;
mod tracker;

pub use self::options::{TrackerOptions, TrackerOptionsError};
pub use self::tracker::{TrackId, Tracked, Tracker, Update};
