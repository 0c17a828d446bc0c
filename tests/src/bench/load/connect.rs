//! Opens connections and leads the conversations before the messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memchr::memmem;

use crate::dialect::{Dialect, Turn};

/// Connections whose conversations go in step.
const GROUP: usize = 250;
/// Time that a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens `count` watchers.
pub(super) fn watchers(
    server: SocketAddr,
    dialect: &Dialect,
    count: usize,
) -> Result<Vec<TcpStream>> {
    // No two crowds have a name in common: a broker puts out whoever was there by the name of one who comes.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    let names = (first..first + count).map(|number| format!("watcher-{number}"));
    let names: Vec<String> = names.collect();
    let mut streams = Vec::with_capacity(count);
    for group in names.chunks(GROUP) {
        let mut conversations = group
            .iter()
            .map(|name| Conversation::open(server, dialect.watcher(server, name)))
            .collect::<Result<Vec<_>>>()?;
        let turns = conversations.first().map_or(0, |one| one.turns.len());
        for turn in 0..turns {
            for one in &mut conversations {
                one.stream.write_all(&one.turns[turn].say)?;
            }
            for one in &mut conversations {
                one.hear(turn)?;
            }
        }
        streams.extend(conversations.into_iter().map(|one| one.stream));
    }
    Ok(streams)
}

/// Opens one connection.
pub(crate) fn converse(server: SocketAddr, turns: Vec<Turn>) -> Result<TcpStream> {
    let mut conversation = Conversation::open(server, turns)?;
    for turn in 0..conversation.turns.len() {
        let say = &conversation.turns[turn].say;
        conversation.stream.write_all(say)?;
        conversation.hear(turn)?;
    }
    Ok(conversation.stream)
}

struct Conversation {
    stream: TcpStream,
    turns: Vec<Turn>,
    heard: Vec<u8>,
}

impl Conversation {
    fn open(server: SocketAddr, turns: Vec<Turn>) -> Result<Self> {
        ensure!(server.ip().is_loopback(), "only this machine is measured");
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            turns,
            heard: Vec::new(),
        })
    }

    /// Reads until the answer to a turn is complete.
    fn hear(&mut self, turn: usize) -> Result<()> {
        let until = &self.turns[turn].until;
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = memmem::find(&self.heard, until) {
                self.heard.drain(..at + until.len());
                return Ok(());
            }
            let read = self.stream.read(&mut buffer);
            let heard = String::from_utf8_lossy(&self.heard);
            let read = read.with_context(|| format!("turn {turn}, heard {heard:?}"))?;
            ensure!(read > 0, "closed in turn {turn} after {heard:?}");
            self.heard.extend(&buffer[..read]);
        }
    }
}
