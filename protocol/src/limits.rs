//! Size and count limits of the wire, in one place so that every door refuses the same things.

/// Largest encoded envelope in bytes. A 1080p JPEG at quality 85 is about 600 kB; this leaves room for 4K stills.
pub const MAX_ENVELOPE_BYTES: usize = 2 * 1024 * 1024;

/// Largest payload of one event in bytes: an envelope less its other fields at their largest.
pub const MAX_PAYLOAD_BYTES: usize = MAX_ENVELOPE_BYTES - 512;

/// Longest stream name in bytes.
pub const MAX_STREAM_NAME_BYTES: usize = 32;

/// Longest feed name in bytes: it must fit a `bytes32` on the ledger.
pub const MAX_FEED_NAME_BYTES: usize = 32;

/// Longest name of a zone in bytes.
pub const MAX_ZONE_NAME_BYTES: usize = 32;

/// Longest content type in bytes; RFC 6838 allows 127 for each half, real ones stay far below.
pub const MAX_CONTENT_TYPE_BYTES: usize = 127;

/// Largest integer that a JavaScript number holds exactly; boot, seq and time stay below it.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Largest websocket message that a client may send, in bytes. Control messages are small.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 16 * 1024;

/// Largest REST request body in bytes.
pub const MAX_REST_BODY_BYTES: usize = 64 * 1024;

/// Largest listing document in bytes of canonical JSON.
pub const MAX_LISTING_BYTES: usize = 16 * 1024;

/// Most streams that one device may register or one listing may name.
pub const MAX_STREAMS: usize = 32;

/// Longest title of a device or listing in bytes of UTF-8.
pub const MAX_TITLE_BYTES: usize = 120;

/// Longest description of a device or listing in bytes of UTF-8.
pub const MAX_DESCRIPTION_BYTES: usize = 2_000;

/// Most feeds that one websocket may watch at a time.
pub const MAX_WATCHES_PER_SOCKET: usize = 256;

/// Shortest subscription in seconds, as `FeedLedger` enforces it.
pub const MIN_SUBSCRIPTION_SECONDS: u64 = 60;

/// Longest time ahead that may be paid for, in seconds (366 days), as `FeedLedger` enforces it.
pub const MAX_SUBSCRIPTION_SECONDS: u64 = 366 * 24 * 3600;

/// How long a device may be silent before its feed's clock is stopped, in seconds: a shorter time would be a network's
/// hiccup, a longer one no promise.
pub const OUTAGE_SECONDS: std::ops::RangeInclusive<u32> = 10..=86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_same_limits() {
        let schema = include_str!("../envelope.cddl");
        for line in [
            format!("bytes .size (0..{MAX_PAYLOAD_BYTES})"),
            format!("tstr .size (3..{MAX_CONTENT_TYPE_BYTES})"),
            format!("[a-z0-9-]{{1,{MAX_STREAM_NAME_BYTES}}}"),
            format!("uint .le {MAX_SAFE_INTEGER}"),
        ] {
            assert!(schema.contains(&line), "{line}");
        }
    }
}
