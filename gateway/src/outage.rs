//! Outage credit: nobody pays for a camera that is down.
//!
//! ```text
//!  accepted events ─► Heard ──┐
//!  ledger index: clock,       ├─► decide ─► Allowance ─► pause / resume on the ledger ─► index ─► sockets, page
//!  pauser, listing ───────────┘
//! ```
//!
//! An owner names this gateway's wallet as the feed's pauser and says in the listing how long its device may be
//! silent. One pause stops everybody's time and the provider's earnings, however many subscribe. The gateway lifts
//! its own pauses only, and only for an event that it heard since it started, also where the listing has changed
//! meanwhile.
//!
//! What pauses and resumes cost is bounded, by the unit of gas and by the day: what they may cost is set aside, and made
//! good by the fee of the receipt; what was never sent does not count. While one of them is stuck nothing else is sent.
//!
//! Pictures (`frames`) are sent only while somebody watches. A device that sells nothing else shows that it lives by
//! any of its streams, so it should have another that it sends of its own accord, as the agent has `detections`.

mod actor;
mod allowance;
mod decision;
mod heard;
mod reach;
mod way;

pub(crate) use actor::{OutageParts, load_allowance, run};
pub(crate) use allowance::KeptAllowance;
pub use allowance::Limits;
pub use heard::Heard;
