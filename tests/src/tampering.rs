use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// Bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a [`Tampering`] does to what passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tamper {
    /// Nothing.
    Pass,
    /// A connection that asks for this gets no answer any more, though what it asks is done.
    Mute(Vec<u8>),
    /// A connection that asks for this is not heard any more.
    Swallow(Vec<u8>),
    /// In every answer the first becomes the second, which is as long.
    Forge(Vec<u8>, Vec<u8>),
}

/// A man in the middle: a TCP proxy on a port of its own, in front of a node or a gateway.
#[derive(Debug)]
pub struct Tampering {
    address: SocketAddr,
    tamper: Arc<Mutex<Tamper>>,
    /// Everything ends with it.
    _alive: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Tampering {
    /// Stands in front of `upstream` and changes nothing yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        Self::start_on(0, upstream).await
    }

    /// The same on a port that is known before.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_on(port: u16, upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let tamper = Arc::new(Mutex::new(Tamper::Pass));
        let (alive, _) = watch::channel(());
        Ok(Self {
            address: listener.local_addr()?,
            task: tokio::spawn(serve(
                listener,
                upstream,
                Arc::clone(&tamper),
                alive.subscribe(),
            )),
            tamper,
            _alive: alive,
        })
    }

    /// Does this from now on, to what passes then.
    pub fn set(&self, tamper: Tamper) {
        *lock(&self.tamper) = tamper;
    }

    /// Its address for HTTP.
    ///
    /// # Errors
    /// Never: an address and a port are a URL.
    pub fn url(&self) -> Result<Url> {
        Ok(format!("http://{}", self.address).parse()?)
    }
}

impl Drop for Tampering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(tamper: &Mutex<Tamper>) -> std::sync::MutexGuard<'_, Tamper> {
    tamper.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    listener: TcpListener,
    upstream: SocketAddr,
    tamper: Arc<Mutex<Tamper>>,
    alive: watch::Receiver<()>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (tamper, mut alive) = (Arc::clone(&tamper), alive.clone());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(upstream).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let (muted, hears_muted) = watch::channel(false);
            tokio::select! {
                _ = alive.changed() => {}
                () = ask(from_client, to_server, &tamper, &muted) => {}
                () = answer(from_server, to_client, &tamper, hears_muted) => {}
            }
        });
    }
}

async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    tamper: &Mutex<Tamper>,
    muted: &watch::Sender<bool>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut deaf = false;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        match &*lock(tamper) {
            Tamper::Mute(words) if holds(bytes, words) => {
                muted.send_replace(true);
            }
            Tamper::Swallow(words) if holds(bytes, words) => deaf = true,
            _ => {}
        }
        if !deaf && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    tamper: &Mutex<Tamper>,
    muted: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    // What may be the beginning of words that are forged.
    let mut held = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *muted.borrow() {
            continue;
        }
        held.extend_from_slice(&buffer[..length]);
        let forgery = match &*lock(tamper) {
            Tamper::Forge(words, lie) => Some((words.clone(), lie.clone())),
            _ => None,
        };
        let kept = forgery.map_or(0, |(words, lie)| forge(&mut held, &words, &lie));
        let rest = held.split_off(held.len() - kept);
        let sent = to.write_all(&held).await;
        held = rest;
        if sent.is_err() {
            return;
        }
    }
}

/// Replaces `words` by `lie`; returns how many bytes at the end may be the beginning of `words`.
fn forge(bytes: &mut [u8], words: &[u8], lie: &[u8]) -> usize {
    assert_eq!(words.len(), lie.len(), "a frame keeps its length");
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&bytes[at..], words) {
        at += found;
        bytes[at..at + words.len()].copy_from_slice(lie);
        at += words.len();
    }
    (1..words.len().min(bytes.len() + 1))
        .rev()
        .find(|length| bytes.ends_with(&words[..*length]))
        .unwrap_or(0)
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    memchr::memmem::find(bytes, words).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_forged_also_where_they_come_in_two_parts() {
        let mut bytes = b"price 1000 and 1000 and 10".to_vec();
        assert_eq!(forge(&mut bytes, b"1000", b"9000"), 2);
        assert_eq!(bytes, b"price 9000 and 9000 and 10");
        let mut bytes = b"nothing".to_vec();
        assert_eq!(forge(&mut bytes, b"1000", b"9000"), 0);
    }
}
