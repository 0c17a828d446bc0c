use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::limits::MAX_SAFE_INTEGER;

/// Why a number is out of range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    /// At or above 2^53.
    #[error("{0} is not below 2^53")]
    TooLarge(u64),
    /// Not a decimal amount of wei below 2^128.
    #[error("expected a decimal number of wei")]
    Wei,
}

macro_rules! safe_integer {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = NumberError;

            fn try_from(value: u64) -> Result<Self, NumberError> {
                if value > MAX_SAFE_INTEGER { Err(NumberError::TooLarge(value)) } else { Ok(Self(value)) }
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

safe_integer! {
    /// A start of a device: `max(stored + 1, Unix seconds)`, so it rises with every start.
    Boot
}

safe_integer! {
    /// The number of an event within its stream and boot, from 0 without gaps.
    Seq
}

safe_integer! {
    /// Microseconds since the Unix epoch.
    TimeUs
}

impl Seq {
    /// The first event of a boot.
    pub const FIRST: Self = Self(0);

    /// The next number.
    ///
    /// # Errors
    /// When the next number would reach 2^53.
    pub fn next(self) -> Result<Self, NumberError> {
        Self::try_from(self.0 + 1)
    }
}

/// Where an event stands in its stream; a later event has a greater position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The start of the device.
    pub boot: Boot,
    /// The number within that start.
    pub seq: Seq,
}

impl Position {
    /// Before every event, since no device starts at 0.
    pub const ORIGIN: Self = Self {
        boot: Boot(0),
        seq: Seq::FIRST,
    };

    /// The position after which this one comes: nothing lies between the two.
    pub fn before(self) -> Self {
        let (boot, seq) = match (self.boot.0, self.seq.0) {
            (0, 0) => return Self::ORIGIN,
            (boot, 0) => (boot - 1, MAX_SAFE_INTEGER),
            (boot, seq) => (boot, seq - 1),
        };
        Self {
            boot: Boot(boot),
            seq: Seq(seq),
        }
    }
}

/// An amount of wei; 10^18 wei are one ETH. In JSON it is a decimal string, since it outgrows a JavaScript number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wei(u128);

impl Wei {
    /// One ETH.
    pub const ETH: Self = Self(1_000_000_000_000_000_000);

    /// Wraps a number of wei.
    pub const fn new(wei: u128) -> Self {
        Self(wei)
    }

    /// The number of wei.
    pub const fn get(self) -> u128 {
        self.0
    }

    /// This price per second over a number of seconds; `None` on overflow.
    pub fn checked_mul(self, seconds: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(seconds)).map(Self)
    }
}

impl FromStr for Wei {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError::Wei);
        }
        text.parse().map(Self).map_err(|_| NumberError::Wei)
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_integers_stop_below_two_to_the_fifty_third() {
        assert!(Seq::try_from(MAX_SAFE_INTEGER).is_ok());
        assert_eq!(Seq::try_from(1 << 53), Err(NumberError::TooLarge(1 << 53)));
        assert!(Seq::try_from(MAX_SAFE_INTEGER).unwrap().next().is_err());
    }

    #[test]
    fn nothing_lies_between_a_position_and_the_one_before() {
        let at = |boot: u64, seq: u64| Position {
            boot: boot.try_into().unwrap(),
            seq: seq.try_into().unwrap(),
        };
        for (position, before) in [
            (at(3, 7), at(3, 6)),
            (at(3, 1), at(3, 0)),
            (at(3, 0), at(2, MAX_SAFE_INTEGER)),
            (at(1, 0), at(0, MAX_SAFE_INTEGER)),
            (at(0, 1), Position::ORIGIN),
            (Position::ORIGIN, Position::ORIGIN),
        ] {
            assert_eq!(position.before(), before, "{position:?}");
        }
    }

    #[test]
    fn wei_is_a_decimal_string() {
        for (text, valid) in [
            ("0", true),
            ("277777777777", true),
            ("", false),
            ("-1", false),
            ("+1", false),
            ("1.5", false),
            ("0x1", false),
            ("340282366920938463463374607431768211456", false),
        ] {
            assert_eq!(text.parse::<Wei>().is_ok(), valid, "{text:?}");
        }
        assert_eq!(
            serde_json::to_string(&Wei::ETH).unwrap(),
            "\"1000000000000000000\""
        );
        assert!(serde_json::from_str::<Wei>("1").is_err());
    }
}
