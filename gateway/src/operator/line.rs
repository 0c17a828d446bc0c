//! One line of JSON for an order, one for its answer.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Order, carry_out, words};
use crate::registry::Blocklist;
use crate::store::Store;

const NAME: &str = "admin.sock";
/// Only the owner.
const PRIVATE: u32 = 0o600;
/// Longest order, in bytes.
const MAX_ORDER_BYTES: u64 = 8 * 1024;
/// Longest time for an order to come, or an answer to go.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for an answer: an export of everything takes seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// What became of an order.
type Answer = Result<String, String>;

/// What orders work on.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) store: Store,
    pub(crate) blocked: Blocklist,
}

/// Opens the socket of a data folder; the gateway that runs on it holds the store's lock, so that an old one is
/// nobody's.
///
/// # Errors
/// When it cannot be made, as in a folder whose path is too long for a socket.
pub(crate) fn listen(data: &Path) -> io::Result<UnixListener> {
    let path = socket(data);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(PRIVATE))?;
    Ok(listener)
}

/// Carries out orders, one after the other, until `shutdown`.
pub(crate) async fn serve(listener: UnixListener, line: Line, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let outcome = match accepted {
            Ok((stream, _)) => converse(stream, &line).await,
            Err(error) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(error)
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "an order was not heard to its end");
        }
    }
}

async fn converse(stream: UnixStream, line: &Line) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut text = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(MAX_ORDER_BYTES));
    timeout(PATIENCE, reader.read_line(&mut text)).await??;
    let answer = match serde_json::from_str::<Order>(&text) {
        Ok(order) => {
            let line = line.clone();
            let done = tokio::task::spawn_blocking(move || {
                carry_out(&order, &line.store, &line.blocked).map_err(|error| words(&error))
            });
            done.await.map_err(io::Error::other)?
        }
        Err(error) => Err(error.to_string()),
    };
    let mut json = serde_json::to_vec(&answer)?;
    json.push(b'\n');
    timeout(PATIENCE, write.write_all(&json)).await?
}

/// Asks the gateway that runs on `data`; `None` when there is none.
///
/// # Errors
/// When it does not answer.
pub(super) fn ask(data: &Path, order: &Order) -> io::Result<Option<Answer>> {
    let mut stream = match BlockingStream::connect(socket(data)) {
        Ok(stream) => stream,
        // No gateway, or one that was killed and left its socket behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut json = serde_json::to_vec(order)?;
    json.push(b'\n');
    stream.write_all(&json)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(Some(serde_json::from_str(&answer)?))
}

/// Whether a gateway serves this data folder now.
pub(crate) fn is_served(data: &Path) -> bool {
    BlockingStream::connect(socket(data)).is_ok()
}

fn socket(data: &Path) -> PathBuf {
    data.join(NAME)
}
