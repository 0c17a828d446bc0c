//! The lengths that a packet begins with.
//!
//! The codecs take for granted that they fit into each other. Where a PUBLISH says that its topic or its properties are longer than all
//! of it, they would subtract below zero, or wait for bytes without end.

use ntex_mqtt::error::DecodeError;

use super::WireError;

/// First four bits of a PUBLISH.
const PUBLISH: u8 = 0x30;
/// The quality of service among its flags.
const QOS: u8 = 0x06;
/// Most bytes of a length (MQTT 5, section 1.5.5).
const MAX_LENGTH_BYTES: usize = 4;

/// Whether a PUBLISH has properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Properties {
    /// MQTT 3.1.1.
    Absent,
    /// MQTT 5.
    Present,
}

/// Looks at the lengths of a packet that begins here; `None` when more bytes are needed to tell.
///
/// # Errors
/// When they do not fit.
pub(super) fn fit(bytes: &[u8], properties: Properties) -> Result<Option<()>, WireError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if first & 0xf0 != PUBLISH {
        return Ok(Some(()));
    }
    let Some((whole, rest)) = length(rest)? else {
        return Ok(None);
    };
    let &[high, low, ..] = rest else {
        return if whole < 2 { Err(lie()) } else { Ok(None) };
    };
    let topic = 2 + usize::from(u16::from_be_bytes([high, low]));
    let head = topic + if first & QOS == 0 { 0 } else { 2 };
    if head > whole {
        return Err(lie());
    }
    if properties == Properties::Absent {
        return Ok(Some(()));
    }
    let Some(rest) = rest.get(head..) else {
        return Ok(None);
    };
    let Some((properties, after)) = length(rest)? else {
        return if head == whole { Err(lie()) } else { Ok(None) };
    };
    let head = head + (rest.len() - after.len()) + properties;
    if head > whole {
        Err(lie())
    } else {
        Ok(Some(()))
    }
}

/// A length, and what comes after it; `None` when more bytes are needed.
fn length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, WireError> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(MAX_LENGTH_BYTES).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, &bytes[index + 1..])));
        }
    }
    if bytes.len() < MAX_LENGTH_BYTES {
        Ok(None)
    } else {
        Err(WireError::Malformed(DecodeError::InvalidLength))
    }
}

fn lie() -> WireError {
    WireError::Malformed(DecodeError::InvalidLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length() {
        let good = Ok(Some(()));
        let wait = Ok(None);
        for (name, bytes, three, five) in [
            ("nothing", &b""[..], wait, wait),
            ("another packet", b"\xc0", good, good),
            ("no length yet", b"\x30", wait, wait),
            ("half of a length", b"\x30\x80", wait, wait),
            (
                "a length without end",
                b"\x30\x80\x80\x80\x80",
                Err(()),
                Err(()),
            ),
            ("no topic yet", b"\x30\x05\x00", wait, wait),
            ("no room for a topic", b"\x30\x01", Err(()), Err(())),
            (
                "a topic and nothing else",
                b"\x30\x03\x00\x01a",
                good,
                Err(()),
            ),
            ("no properties", b"\x30\x04\x00\x01a\x00", good, good),
            (
                "properties do not show yet",
                b"\x30\x05\x00\x01a",
                good,
                wait,
            ),
            (
                "half of the properties' length",
                b"\x30\xff\x01\x00\x01a\x80",
                good,
                wait,
            ),
            (
                "the topic is all there is room for",
                b"\x30\x05\x00\x03",
                good,
                wait,
            ),
            (
                "the topic is longer than all",
                b"\x30\x05\x00\x04",
                Err(()),
                Err(()),
            ),
            (
                "no room for a packet id",
                b"\x32\x05\x00\x02ab",
                Err(()),
                Err(()),
            ),
            (
                "just room for a packet id",
                b"\x32\x05\x00\x01a\x00\x01",
                good,
                Err(()),
            ),
            (
                "the properties just fit",
                b"\x30\x06\x00\x01a\x02",
                good,
                good,
            ),
            (
                "the properties are longer than all",
                b"\x30\x06\x00\x01a\x03",
                good,
                Err(()),
            ),
            (
                "properties of 256 MB",
                b"\x30\x20\x00\x01a\xff\xff\xff\x7f",
                good,
                Err(()),
            ),
        ] {
            for (properties, expected) in [(Properties::Absent, three), (Properties::Present, five)]
            {
                let found = fit(bytes, properties).map_err(|_| ());
                assert_eq!(found, expected, "{name}, {properties:?}");
            }
        }
    }
}
