use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hash::{Hash, keccak256};
use crate::ids::DeviceId;
use crate::limits::{MAX_LISTING_BYTES, MAX_STREAMS, OUTAGE_SECONDS};
use crate::names::{FeedName, StreamName};
use crate::text::{is_description, is_title};

/// The owner's document that says what a feed holds. Its Keccak-256 hash stands on the ledger, so that a buyer
/// pays for exactly what they read.
///
/// Its canonical JSON has its keys in alphabetical order and no white space (RFC 8785); the fields below are
/// declared in that order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listing {
    /// What is sold, in the owner's words.
    pub description: String,
    /// The device.
    pub device: DeviceId,
    /// Name of the feed on the ledger.
    pub name: FeedName,
    /// Seconds without an event after which the gateway, where it is the feed's pauser, stops the feed's clock so that
    /// nobody is charged; absent where the owner does not promise it. From 10 to 86,400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_seconds: Option<u32>,
    /// What happens to people and places in the picture: masks, retention, notices.
    pub privacy: String,
    /// The streams that a subscriber receives, at least one.
    pub streams: Vec<ListingStream>,
    /// A short title for lists.
    pub title: String,
}

/// One stream of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListingStream {
    /// Most events a minute that the owner means to send.
    pub events_per_minute: u32,
    /// Name of the stream.
    pub name: StreamName,
}

/// Why a text is not a listing.
#[derive(Debug, Error)]
pub enum ListingError {
    /// Longer than a listing may be.
    #[error("{found} bytes are more than the {MAX_LISTING_BYTES} that a listing may have")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not the JSON that a listing is.
    #[error("not a listing document")]
    Json(#[from] serde_json::Error),
    /// Readable, but not in the one canonical form.
    #[error("not canonical JSON: keys in alphabetical order, no white space")]
    NotCanonical,
    /// A field breaks a limit.
    #[error("{0}")]
    Field(&'static str),
}

impl Listing {
    /// Reads a listing from its canonical JSON.
    ///
    /// # Errors
    /// When the text is too long, not a listing, not canonical, or breaks a limit.
    pub fn from_canonical_json(text: &str) -> Result<Self, ListingError> {
        if text.len() > MAX_LISTING_BYTES {
            return Err(ListingError::TooLarge { found: text.len() });
        }
        let listing: Self = serde_json::from_str(text)?;
        if listing.to_canonical_json()? != text {
            return Err(ListingError::NotCanonical);
        }
        Ok(listing)
    }

    /// The canonical JSON, which is hashed, signed and served.
    ///
    /// # Errors
    /// When a field breaks a limit.
    pub fn to_canonical_json(&self) -> Result<String, ListingError> {
        let limits = [
            (
                !is_title(&self.title),
                "the title must be one line of 1 to 120 bytes without control or direction characters",
            ),
            (
                !is_description(&self.description),
                "the description may have 2000 bytes at most, without control or direction characters",
            ),
            (
                !is_description(&self.privacy),
                "the privacy text may have 2000 bytes at most, without control or direction characters",
            ),
            (
                self.streams.is_empty() || self.streams.len() > MAX_STREAMS,
                "a listing names 1 to 32 streams",
            ),
            (self.repeats_a_stream(), "a stream is named twice"),
            (
                self.outage_seconds
                    .is_some_and(|seconds| !OUTAGE_SECONDS.contains(&seconds)),
                "outageSeconds must be from 10 to 86400",
            ),
        ];
        if let Some((_, message)) = limits.into_iter().find(|(broken, _)| *broken) {
            return Err(ListingError::Field(message));
        }
        let text = serde_json::to_string(self)?;
        if text.len() > MAX_LISTING_BYTES {
            return Err(ListingError::TooLarge { found: text.len() });
        }
        Ok(text)
    }

    /// The hash of a listing's canonical JSON, as the ledger holds it.
    pub fn hash_of(canonical_json: &str) -> Hash {
        keccak256(canonical_json.as_bytes())
    }

    /// The names of the streams.
    pub fn stream_names(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.iter().map(|stream| &stream.name)
    }

    fn repeats_a_stream(&self) -> bool {
        self.streams.iter().enumerate().any(|(index, stream)| {
            self.streams[..index]
                .iter()
                .any(|earlier| earlier.name == stream.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing {
            description: "Who passes the gate".into(),
            device: DeviceId::new([1; 20]),
            name: "gate".parse().unwrap(),
            outage_seconds: Some(60),
            privacy: "No faces are kept".into(),
            streams: vec![ListingStream {
                events_per_minute: 300,
                name: "detections".parse().unwrap(),
            }],
            title: "Gate".into(),
        }
    }

    #[test]
    fn canonical_json_has_sorted_keys_and_reads_back() {
        let text = listing().to_canonical_json().unwrap();
        let keys = [
            "\"description\"",
            "\"device\"",
            "\"name\"",
            "\"outageSeconds\"",
            "\"privacy\"",
            "\"streams\"",
            "\"title\"",
        ];
        let places: Vec<_> = keys.iter().map(|key| text.find(key).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
        assert_eq!(Listing::from_canonical_json(&text).unwrap(), listing());
    }

    #[test]
    fn any_other_form_is_refused() {
        let text = listing().to_canonical_json().unwrap();
        let mut twice = listing();
        twice.streams.push(twice.streams[0].clone());
        assert!(twice.to_canonical_json().is_err());
        for seconds in [0, 9, 86_401] {
            let mut hasty = listing();
            hasty.outage_seconds = Some(seconds);
            assert!(hasty.to_canonical_json().is_err(), "{seconds}");
        }
        for other in [
            format!(" {text}"),
            text.replace(':', ": "),
            text.replace("\"title\"", "\"more\":1,\"title\""),
            "{}".into(),
            "x".repeat(20_000),
        ] {
            assert!(Listing::from_canonical_json(&other).is_err(), "{other}");
        }
    }
}
