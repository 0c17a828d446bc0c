//! Finds messages in the bytes of a stream, wherever reads cut it.

use std::sync::LazyLock;
use std::time::Instant;

use memchr::memmem::Finder;

const MARK: &[u8] = b"\"madeNs\":\"";
/// Digits of the time after the mark.
const DIGITS: usize = 20;
/// Bytes of a message that must be there together.
const WHOLE: usize = MARK.len() + DIGITS;

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// Nanoseconds since this program began.
pub(super) fn now_ns() -> u64 {
    // Enough for centuries.
    BEGINNING.elapsed().as_nanos() as u64
}

/// A JSON text of `size` bytes that was made now.
pub(crate) fn stamped(size: usize) -> Vec<u8> {
    let mut text = b"{".to_vec();
    text.extend(MARK);
    text.extend(format!("{:0DIGITS$}\",\"padding\":\"", now_ns()).into_bytes());
    text.resize(size.saturating_sub(2), b'x');
    text.extend(b"\"}");
    text
}

/// What is left of a stream's last read.
#[derive(Debug)]
pub(super) struct Scanner {
    tail: [u8; WHOLE],
    length: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            tail: [0; WHOLE],
            length: 0,
        }
    }
}

impl Scanner {
    /// Puts what is left before the next read; returns its length.
    pub(super) fn restore(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.length].copy_from_slice(&self.tail[..self.length]);
        self.length
    }

    /// Tells the time of each message in the bytes; returns their number.
    pub(super) fn scan(&mut self, bytes: &[u8], mut tell: impl FnMut(u64)) -> u64 {
        let (mut found, mut from) = (0, 0);
        let mut keep = bytes.len().saturating_sub(MARK.len() - 1);
        while let Some(at) = FINDER.find(&bytes[from..]).map(|at| from + at) {
            if at + WHOLE > bytes.len() {
                keep = at;
                break;
            }
            let digits = bytes[at + MARK.len()..at + WHOLE].iter();
            tell(digits.fold(0, |number: u64, digit| {
                number * 10 + u64::from(digit.wrapping_sub(b'0'))
            }));
            found += 1;
            from = at + WHOLE;
        }
        let keep = keep.max(from);
        self.length = bytes.len() - keep;
        self.tail[..self.length].copy_from_slice(&bytes[keep..]);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_reads_cut_them() {
        let message = stamped(90);
        assert_eq!(message.len(), 90);
        let stream = [&message[..], b"between", &message, &message].concat();
        for cut in 1..stream.len() {
            let (mut scanner, mut stamps, mut found) = (Scanner::default(), Vec::new(), 0);
            for piece in stream.chunks(cut) {
                let mut buffer = vec![0; WHOLE + piece.len()];
                let kept = scanner.restore(&mut buffer);
                buffer[kept..kept + piece.len()].copy_from_slice(piece);
                buffer.truncate(kept + piece.len());
                found += scanner.scan(&buffer, |stamp| stamps.push(stamp));
            }
            assert_eq!(found, 3, "reads of {cut}");
            assert!(
                stamps.iter().all(|stamp| *stamp == stamps[0]),
                "reads of {cut}"
            );
        }
    }
}
