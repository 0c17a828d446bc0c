use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{
    MAX_CONTENT_TYPE_BYTES, MAX_FEED_NAME_BYTES, MAX_STREAM_NAME_BYTES, MAX_ZONE_NAME_BYTES,
};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("expected 1 to {max} bytes, found {found}")]
    Length {
        /// Longest allowed, in bytes.
        max: usize,
        /// Length found, in bytes.
        found: usize,
    },
    /// Holds a character that the name may not hold.
    #[error("the character {0:?} is not allowed here")]
    Character(char),
    /// A content type without its slash.
    #[error("a content type has the form type/subtype")]
    ContentType,
}

macro_rules! name_newtype {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $max, $allowed)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $max, $allowed)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_newtype! {
    /// One kind of event that a device publishes, such as `detections`: `[a-z0-9-]{1,32}`.
    StreamName, MAX_STREAM_NAME_BYTES, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')
}

name_newtype! {
    /// The name of a feed: 1 to 32 printable ASCII characters, zero-padded to a `bytes32` on the ledger.
    FeedName, MAX_FEED_NAME_BYTES, |c| matches!(c, ' '..='~')
}

name_newtype! {
    /// A part of a device's picture, such as `driveway`: `[a-z0-9_-]{1,32}`.
    ZoneName, MAX_ZONE_NAME_BYTES, |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')
}

/// The media type of a payload, such as `application/json` (RFC 6838), kept as the device wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentType(String);

impl StreamName {
    /// What a detector saw, as JSON ([`crate::Detections`]).
    pub const DETECTIONS: &'static str = "detections";
    /// JPEG pictures.
    pub const FRAMES: &'static str = "frames";
    /// How the device is, as JSON ([`crate::Status`]): its heartbeat.
    pub const STATUS: &'static str = "status";
    /// What becomes of each object, as JSON ([`crate::ObjectEvent`]).
    pub const OBJECTS: &'static str = "objects";
    /// A JPEG picture of each object.
    pub const SNAPSHOTS: &'static str = "snapshots";
}

impl FeedName {
    /// The name as the ledger stores it: ASCII, padded with zero bytes.
    pub fn to_bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..self.0.len()].copy_from_slice(self.0.as_bytes());
        bytes
    }

    /// Reads a name back from the ledger's `bytes32`.
    ///
    /// # Errors
    /// When the bytes are not printable ASCII followed by zero padding alone.
    pub fn from_bytes32(bytes: &[u8; 32]) -> Result<Self, NameError> {
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        bytes[..end]
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .try_into()
    }
}

impl ContentType {
    /// JSON, RFC 8259.
    pub const JSON: &'static str = "application/json";
    /// JPEG pictures.
    pub const JPEG: &'static str = "image/jpeg";

    /// The content type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContentType {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        check(&text, MAX_CONTENT_TYPE_BYTES, |c| matches!(c, ' '..='~'))?;
        if text
            .split_once('/')
            .is_none_or(|(kind, sub)| kind.is_empty() || sub.is_empty())
        {
            return Err(NameError::ContentType);
        }
        Ok(Self(text))
    }
}

impl FromStr for ContentType {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.to_owned().try_into()
    }
}

impl From<ContentType> for String {
    fn from(content_type: ContentType) -> Self {
        content_type.0
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, max: usize, allowed: fn(char) -> bool) -> Result<(), NameError> {
    if text.is_empty() || text.len() > max {
        return Err(NameError::Length {
            max,
            found: text.len(),
        });
    }
    match text.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names() {
        for (text, valid) in [
            ("detections", true),
            ("a", true),
            ("a-1", true),
            ("", false),
            ("A", false),
            ("a/b", false),
            ("+", false),
            ("#", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<StreamName>().is_ok(), valid, "{text:?}");
        }
        assert!("a".repeat(32).parse::<StreamName>().is_ok());
        assert!("a".repeat(33).parse::<StreamName>().is_err());
    }

    #[test]
    fn feed_names_survive_the_ledger() {
        let name: FeedName = "Main street, north".parse().unwrap();
        assert_eq!(FeedName::from_bytes32(&name.to_bytes32()), Ok(name));
        assert!(FeedName::from_bytes32(&[0; 32]).is_err());
        let mut gap = [0; 32];
        gap[2] = b'a';
        assert!(FeedName::from_bytes32(&gap).is_err());
    }

    #[test]
    fn content_types() {
        for (text, valid) in [
            ("application/json", true),
            ("text/plain; charset=utf-8", true),
            ("json", false),
            ("/x", false),
            ("x/", false),
            ("a/b\n", false),
        ] {
            assert_eq!(text.parse::<ContentType>().is_ok(), valid, "{text:?}");
        }
    }
}
