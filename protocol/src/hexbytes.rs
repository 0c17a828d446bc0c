use thiserror::Error;

/// Why a text is not the expected 0x-prefixed hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseHexError {
    /// The `0x` in front is missing.
    #[error("expected 0x in front of the hexadecimal digits")]
    Prefix,
    /// The number of digits is wrong.
    #[error("expected {expected} bytes ({} hexadecimal digits), found {found_digits} digits", expected * 2)]
    Length {
        /// Bytes that the type holds.
        expected: usize,
        /// Digits found after `0x`.
        found_digits: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("not a hexadecimal digit")]
    Digit,
}

/// Parses `0x` and exactly `2 * N` hexadecimal digits of either case.
pub(crate) fn parse<const N: usize>(text: &str) -> Result<[u8; N], ParseHexError> {
    let digits = text.strip_prefix("0x").ok_or(ParseHexError::Prefix)?;
    if digits.len() != 2 * N {
        return Err(ParseHexError::Length {
            expected: N,
            found_digits: digits.len(),
        });
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseHexError::Digit)?;
    Ok(bytes)
}

/// Gives a fixed-size byte newtype its text form (`0x` and lower-case hexadecimal) and its serde form (that text).
macro_rules! hex_newtype {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Wraps raw bytes.
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::ParseHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::hexbytes::parse(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_newtype;
