use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::thread;

use ashya_protocol::ContentType;
use tokio::sync::oneshot;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Whole(Vec<u8>),
    /// More bytes than the limit; so many, where the file says it.
    TooLong(Option<u64>),
}

/// Reads a file of `most` bytes. Nobody can wake a thread that waits for a pipe, so it ends with its read or with the
/// process.
///
/// # Errors
/// When the file cannot be read, or no thread can be had.
pub(super) async fn read(path: PathBuf, most: usize) -> io::Result<Content> {
    let (sender, content) = oneshot::channel();
    thread::Builder::new().name("file".into()).spawn(move || {
        // Whoever has stopped waiting does not need to know.
        let _ = sender.send(read_now(&path, most as u64));
    })?;
    content
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the read has failed")))
}

fn read_now(path: &PathBuf, most: u64) -> io::Result<Content> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Ok(Content::TooLong(Some(length)));
    }
    // A device or a pipe says nothing of its length, and need not have an end.
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Ok(Content::TooLong(None));
    }
    Ok(Content::Whole(bytes))
}

/// The content type of files with an ending.
pub(super) fn type_of(ending: &str) -> &'static str {
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "json" => ContentType::JSON,
        "jpg" | "jpeg" => ContentType::JPEG,
        "png" => "image/png",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_is_read_of_a_file_than_an_event_may_carry() {
        let folder = tempfile::tempdir().unwrap();
        let file = |bytes: usize| {
            let path = folder.path().join(bytes.to_string());
            std::fs::write(&path, vec![7; bytes]).unwrap();
            path
        };
        let whole = |bytes: usize| Content::Whole(vec![7; bytes]);
        for (path, expected) in [
            (file(0), whole(0)),
            (file(100), whole(100)),
            (file(101), Content::TooLong(Some(101))),
            #[cfg(unix)]
            ("/dev/zero".into(), Content::TooLong(None)),
        ] {
            assert_eq!(read(path.clone(), 100).await.unwrap(), expected, "{path:?}");
        }
        assert!(read("/no/such/file".into(), 100).await.is_err());
    }
}
