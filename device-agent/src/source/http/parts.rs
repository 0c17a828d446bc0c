use memchr::memmem;

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
            body: None,
            searched: 0,
            largest,
        }
    }

    /// More of the answer has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole part, if it is there.
    ///
    /// # Errors
    /// When this is no multipart answer, or a part is too long.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        if self.body.is_none() && !self.read_headers()? {
            return Ok(None);
        }
        let found = match self.body.flatten() {
            Some(length) if length > self.largest => return Err(HttpError::TooLarge),
            Some(length) => (self.buffer.len() >= length).then_some(length),
            None => self.find_boundary(),
        };
        let Some(length) = found else {
            return if self.buffer.len() > self.largest + MAX_HEADERS {
                Err(HttpError::TooLarge)
            } else {
                Ok(None)
            };
        };
        let mut part: Vec<u8> = self.buffer.drain(..length).collect();
        if self.body == Some(None) {
            // The line break before the boundary belongs to it.
            let end = part.iter().rposition(|byte| !b"\r\n".contains(byte));
            part.truncate(end.map_or(0, |last| last + 1));
        }
        self.body = None;
        self.searched = 0;
        Ok(Some(part))
    }

    /// Reads up to the empty line after the headers of a part, whatever stands before them.
    fn read_headers(&mut self) -> Result<bool, HttpError> {
        // What is left of the boundary's line break would look like an empty line.
        let lead = self.buffer.iter().take_while(|byte| b"\r\n".contains(byte));
        let lead = lead.count();
        self.buffer.drain(..lead);
        let Some((end, after)) = [&b"\r\n\r\n"[..], b"\n\n"]
            .into_iter()
            .filter_map(|empty| Some((memmem::find(&self.buffer, empty)?, empty.len())))
            .min()
        else {
            return if self.buffer.len() > MAX_HEADERS {
                Err(HttpError::NoParts)
            } else {
                Ok(false)
            };
        };
        let headers = String::from_utf8_lossy(&self.buffer[..end]);
        let length = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        if length.is_none() && self.boundary.is_none() {
            return Err(HttpError::NoParts);
        }
        self.buffer.drain(..end + after);
        self.body = Some(length);
        Ok(true)
    }

    /// Where the next boundary begins.
    fn find_boundary(&mut self) -> Option<usize> {
        let boundary = self.boundary.as_deref()?;
        let found = memmem::find(&self.buffer[self.searched..], boundary);
        let found = found.map(|at| self.searched + at);
        self.searched = self.buffer.len().saturating_sub(boundary.len());
        found
    }
}

#[cfg(test)]
mod tests {
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
