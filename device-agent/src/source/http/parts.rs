use memchr::{memchr_iter, memmem};

use crate::source::http::HttpError;

/// Longest headers of a part.
const MAX_HEADERS: usize = 8 << 10;

/// Cuts the body of a `multipart/x-mixed-replace` answer (RFC 2046, section 5.1, as cameras use it) into its pictures.
///
/// Cameras disagree about the boundary: with its hyphens or without, quoted or not. So a part is read by its
/// `Content-Length` where it has one, and ends at the boundary where it has none.
#[derive(Debug)]
pub(super) struct Parts {
    /// With two hyphens before it; none where the camera names none.
    boundary: Option<Vec<u8>>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been read.
    read: usize,
    /// The headers of the current part have been read; how long it is.
    body: Option<Option<usize>>,
    /// Bytes of the body in which no boundary begins.
    searched: usize,
    largest: usize,
}

impl Parts {
    /// Parts of an answer with this content type, none of them longer than `largest` bytes.
    pub(super) fn new(content_type: &str, largest: usize) -> Self {
        let boundary = content_type.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("boundary")
                .then(|| value.trim().trim_matches('"').trim_matches('-'))
        });
        Self {
            boundary: boundary.map(|text| format!("--{text}").into_bytes()),
            buffer: Vec::new(),
            read: 0,
            body: None,
            searched: 0,
            largest,
        }
    }

    /// More of the answer has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Once for each piece: a piece may hold thousands of parts.
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole part, if it is there. Empty ones are passed over.
    ///
    /// # Errors
    /// When this is no multipart answer, or a part is too long.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        while self.body.is_some() || self.read_headers()? {
            let found = match self.body.flatten() {
                Some(length) if length > self.largest => return Err(HttpError::TooLarge),
                Some(length) => (self.rest().len() >= length).then_some(length),
                None => self.find_boundary(),
            };
            let Some(length) = found else {
                return if self.rest().len() > self.largest + MAX_HEADERS {
                    Err(HttpError::TooLarge)
                } else {
                    Ok(None)
                };
            };
            let mut part = &self.rest()[..length];
            if self.body == Some(None) {
                // The line break before the boundary belongs to it.
                let end = part.iter().rposition(|byte| !b"\r\n".contains(byte));
                part = &part[..end.map_or(0, |last| last + 1)];
            }
            let part = part.to_vec();
            self.read += length;
            self.body = None;
            self.searched = 0;
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// What has come and is not read yet.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.read..]
    }

    /// Reads up to the empty line after the headers of a part, whatever stands before them.
    fn read_headers(&mut self) -> Result<bool, HttpError> {
        // What is left of the boundary's line break would look like an empty line.
        let lead = self.rest().iter().take_while(|byte| b"\r\n".contains(byte));
        self.read += lead.count();
        let rest = self.rest();
        let Some((end, after)) = memchr_iter(b'\n', rest).find_map(|at| match &rest[at + 1..] {
            [b'\n', ..] => Some((at, at + 2)),
            [b'\r', b'\n', ..] => Some((at, at + 3)),
            _ => None,
        }) else {
            return if rest.len() > MAX_HEADERS {
                Err(HttpError::NoParts)
            } else {
                Ok(false)
            };
        };
        let headers = String::from_utf8_lossy(&rest[..end]);
        let length = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        if length.is_none() && self.boundary.is_none() {
            return Err(HttpError::NoParts);
        }
        self.read += after;
        self.body = Some(length);
        Ok(true)
    }

    /// Where the next boundary begins.
    fn find_boundary(&mut self) -> Option<usize> {
        let boundary = self.boundary.as_deref()?;
        let rest = &self.buffer[self.read..];
        let found = memmem::find(&rest[self.searched..], boundary);
        let found = found.map(|at| self.searched + at);
        self.searched = rest.len().saturating_sub(boundary.len());
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const LARGEST: usize = 64;

    /// All parts of an answer that comes in pieces of `size` bytes.
    fn read(content_type: &str, answer: &[u8], size: usize) -> Result<Vec<Vec<u8>>, HttpError> {
        let mut parts = Parts::new(content_type, LARGEST);
        let mut all = Vec::new();
        for piece in answer.chunks(size) {
            parts.push(piece);
            while let Some(part) = parts.next()? {
                all.push(part);
            }
        }
        Ok(all)
    }

    #[test]
    fn parts_of_cameras_that_disagree() {
        for (content_type, answer) in [
            (
                "multipart/x-mixed-replace; boundary=cam",
                &b"--cam\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nabc\r\n\
                   --cam\r\ncontent-length:4\r\n\r\nd\r\n\r\r\n--cam--"[..],
            ),
            (
                "multipart/x-mixed-replace;boundary=\"--cam\"",
                b"\r\n--cam\r\nContent-Length: 3\r\n\r\nabc--cam\r\nContent-Length: 4\r\n\r\nd\r\n\r",
            ),
            (
                "multipart/x-mixed-replace",
                b"--any\nContent-Length: 3\n\nabc\n--any\nContent-Length: 4\n\nd\r\n\r",
            ),
        ] {
            for size in [1, 2, 7, 1000] {
                let parts = read(content_type, answer, size).unwrap();
                assert_eq!(parts, [&b"abc"[..], b"d\r\n\r"], "{content_type} by {size}");
            }
        }
    }

    #[test]
    fn parts_without_length_end_at_the_boundary() {
        let answer =
            b"--cam\r\nContent-Type: image/jpeg\r\n\r\nabc\r\n--cam\r\nX: y\r\n\r\nde\r\n--cam\r\n";
        for size in [1, 3, 1000] {
            let parts = read("multipart/x-mixed-replace; boundary=--cam", answer, size).unwrap();
            assert_eq!(parts, [&b"abc"[..], b"de"], "by {size}");
        }
    }

    #[test]
    fn empty_parts_are_passed_over_in_no_time() {
        let mut answer = b"--cam\r\n\r\n".repeat(200_000);
        answer.extend(b"--cam\r\nContent-Length: 0\r\n\r\n".repeat(1_000));
        answer.extend(b"--cam\r\nContent-Length: 3\r\n\r\nabc\r\n--cam");
        let begun = Instant::now();
        let parts = read(
            "multipart/x-mixed-replace; boundary=cam",
            &answer,
            usize::MAX,
        );
        assert_eq!(parts.unwrap(), [b"abc"]);
        // Moving the rest of two megabytes for each would take half a minute.
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_is_no_multipart_answer_or_too_long_is_refused() {
        let text = "multipart/x-mixed-replace; boundary=cam";
        for (content_type, answer) in [
            (text, vec![b'x'; MAX_HEADERS * 2]),
            ("multipart/x-mixed-replace", b"--cam\r\n\r\nabc".to_vec()),
            (text, b"--cam\r\nContent-Length: 65\r\n\r\n".to_vec()),
            (text, {
                let mut endless = b"--cam\r\n\r\n".to_vec();
                endless.resize(MAX_HEADERS * 3, b'y');
                endless
            }),
        ] {
            assert!(read(content_type, &answer, 1000).is_err(), "{content_type}");
        }
    }
}
