//! The websocket's reader takes the same messages from the same bytes however they are cut, none above its limit, and says
//! no more than what the rules of RFC 6455 ask of it.
#![no_main]

use std::io::{self, ErrorKind, Read, Write};

use ashya_gateway::client_rules;
use ashya_protocol::limits::MAX_CLIENT_MESSAGE_BYTES;
use ashya_protocol::ws::ClientMessage;
use libfuzzer_sys::fuzz_target;
use tokio_tungstenite::tungstenite::{Error, Message};

fuzz_target!(|bytes: &[u8]| {
    let [early, step, bytes @ ..] = bytes else {
        return;
    };
    let early = usize::from(*early).min(bytes.len());
    let whole = read(&[], bytes, bytes.len().max(1));
    let cut = read(&bytes[..early], &bytes[early..], usize::from(*step) + 1);
    assert_eq!(whole.messages, cut.messages);
    assert_eq!(whole.said, cut.said);
    for message in &whole.messages {
        assert!(message.len() <= MAX_CLIENT_MESSAGE_BYTES);
        if let Message::Text(text) = message {
            let _ = serde_json::from_str::<ClientMessage>(text);
        }
    }
    // A pong for a ping at most, and one goodbye.
    assert!(whole.said.len() <= bytes.len() + 128);
});

struct Conversation {
    messages: Vec<Message>,
    said: Vec<u8>,
}

/// A client that sends so many bytes at a time.
struct Client<'a> {
    bytes: &'a [u8],
    step: usize,
    said: Vec<u8>,
}

fn read(early: &[u8], bytes: &[u8], step: usize) -> Conversation {
    let mut rules = client_rules(early);
    let mut client = Client {
        bytes,
        step,
        said: Vec::new(),
    };
    let mut messages = Vec::new();
    loop {
        match rules.read(&mut client) {
            Ok(message) => messages.push(message),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => break,
        }
    }
    Conversation {
        messages,
        said: client.said,
    }
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = self.bytes.len().min(self.step).min(buffer.len());
        let (now, later) = self.bytes.split_at(taken);
        buffer[..taken].copy_from_slice(now);
        self.bytes = later;
        Ok(taken)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.said.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
