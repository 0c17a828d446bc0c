//! The language that every part of Ashya speaks: identifiers, the signed event envelope, MQTT topics,
//! websocket and REST messages, and the EIP-712 types behind each signature.
//!
//! Nothing here does I/O. Values are checked once, when they are parsed, and carry that proof with them:
//!
//! ```text
//!  bytes ──Envelope::decode──► Envelope ──verify(domain)──► VerifiedEvent
//!                               (shape)                      (signature = device)
//! ```
//!
//! The wire schemas stand in `envelope.cddl` and `objects.cddl`; `vectors/` holds golden values that the Rust, TypeScript and
//! Solidity tests all read.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod authorization;
mod commands;
mod detections;
mod envelope;
mod event;
mod hash;
mod hexbytes;
mod ids;
mod keys;
pub mod limits;
mod listing;
mod names;
mod numbers;
mod objects;
mod offer;
#[cfg(feature = "openapi")]
mod openapi;
pub mod rest;
mod status;
mod text;
mod topics;
pub mod typed_data;
#[cfg(test)]
mod vectors;
pub mod ws;

pub use authorization::{AuthorizationFile, FeedAuthorization};
pub use commands::{Demand, Notice};
pub use detections::{BoundingBox, DetectedObject, Detections, ModelInfo, Picture};
pub use envelope::{Envelope, EnvelopeError, VerifiedEvent, VerifyError};
pub use event::Event;
pub use hash::{Hash, keccak256};
pub use hexbytes::ParseHexError;
pub use ids::{Address, DeviceId, FeedId};
pub use keys::{DeviceKey, KeyError, Signature, SignatureError};
pub use listing::{Listing, ListingError, ListingStream};
pub use names::{ContentType, FeedName, NameError, StreamName, ZoneName};
pub use numbers::{Boot, NumberError, Position, Seq, TimeUs, Wei};
pub use objects::{ObjectChange, ObjectEvent, ObjectZones};
pub use offer::Offer;
pub use status::{Drops, STATUS_SECONDS, SourceStatus, Status, WaitingEvents};
pub use topics::{ParseTopicError, Topic, TopicFilter};
pub use typed_data::Domain;
