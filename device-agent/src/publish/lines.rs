use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc::{Receiver, channel};

/// Lines of a stream, of which none takes more memory than its limit.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    limit: usize,
    line: Vec<u8>,
    /// Bytes of the line so far, those that were not kept included.
    length: usize,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// More bytes than the limit; so many.
    TooLong(usize),
}

/// Lines of the standard input. Nobody can wake a thread that waits for a terminal, so it ends with the input or with the
/// process; it reads no further than one line ahead.
///
/// # Errors
/// When no thread can be had.
pub(super) fn of_stdin(limit: usize) -> io::Result<Receiver<io::Result<Line>>> {
    let (sender, lines) = channel(1);
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut input = Lines::new(io::stdin().lock(), limit);
        while let Some(line) = input.next().transpose() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(lines)
}

impl<R: BufRead> Lines<R> {
    const fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            limit,
            line: Vec::new(),
            length: 0,
        }
    }

    /// The next line that is not empty; nothing at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.input.fill_buf()?;
            let is_end = bytes.is_empty();
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = self.limit.saturating_sub(self.line.len()).min(part.len());
            self.line.extend(&part[..room]);
            self.length += part.len();
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if (end.is_some() || is_end)
                && let Some(line) = self.finish()
            {
                return Ok(Some(line));
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    fn finish(&mut self) -> Option<Line> {
        let length = std::mem::take(&mut self.length);
        let mut line = std::mem::take(&mut self.line);
        if length > self.limit {
            return Some(Line::TooLong(length));
        }
        line.pop_if(|last| *last == b'\r');
        (!line.is_empty()).then_some(Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_cut_at_their_ends_and_none_is_kept_that_is_too_long() {
        let text = b"21.5\r\n\n22\n0123456789\n01234567890\nlast";
        // Whatever the pieces in which it comes.
        for piece in 1..text.len() {
            let mut lines = Lines::new(BufReader::with_capacity(piece, &text[..]), 10);
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push(line);
            }
            let whole = |text: &str| Line::Whole(text.into());
            let expected = [
                whole("21.5"),
                whole("22"),
                whole("0123456789"),
                Line::TooLong(11),
                whole("last"),
            ];
            assert_eq!(found, expected, "{piece}");
        }
    }
}
