use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes of a failing command's complaint that are told.
const COMPLAINT_BYTES: u64 = 400;

/// Why a command gave nothing to publish.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    #[error("cannot be started")]
    Start(#[source] std::io::Error),
    #[error("took longer than {0:?}")]
    Slow(Duration),
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    #[error("printed more than the {0} bytes that an event may carry")]
    TooLong(usize),
    #[error("failed, {status}: {complaint}")]
    Failed { status: String, complaint: String },
    #[error("printed nothing")]
    Silent,
}

/// Runs a command and gives back what it prints, without the end of its last line. It is killed where it takes longer
/// than `limit`, and where this is dropped.
///
/// # Errors
/// When it fails, is slow, prints nothing, or more than `most` bytes.
pub(super) async fn run(
    command: &[OsString],
    limit: Duration,
    most: usize,
) -> Result<Vec<u8>, CommandError> {
    let (program, arguments) = command.split_first().ok_or(CommandError::Silent)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(CommandError::Start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let printed = read(stdout, most as u64 + 1);
        let (printed, complaint) = tokio::join!(printed, drained(stderr));
        let status = child.wait().await.map_err(CommandError::Read)?;
        Ok((printed.map_err(CommandError::Read)?, complaint, status))
    };
    let done = timeout(limit, work).await;
    let (mut printed, complaint, status) = done.map_err(|_| CommandError::Slow(limit))??;
    if printed.len() > most {
        return Err(CommandError::TooLong(most));
    }
    if !status.success() {
        return Err(CommandError::Failed {
            status: status.to_string(),
            complaint,
        });
    }
    printed.pop_if(|last| *last == b'\n');
    printed.pop_if(|last| *last == b'\r');
    if printed.is_empty() {
        return Err(CommandError::Silent);
    }
    Ok(printed)
}

/// What comes, up to a limit; who prints more finds the pipe closed.
async fn read(
    input: Option<impl tokio::io::AsyncRead + Unpin>,
    most: u64,
) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(input) = input {
        input.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The beginning of a complaint on one line. All of it is read, so that nobody waits for a full pipe.
async fn drained(input: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(input) = input else {
        return String::new();
    };
    let mut input = BufReader::new(input);
    let mut bytes = Vec::new();
    // A complaint that cannot be read is none.
    let _ = (&mut input)
        .take(COMPLAINT_BYTES)
        .read_to_end(&mut bytes)
        .await;
    let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_command_prints_or_why_not() {
        let limit = Duration::from_millis(500);
        for (script, expected) in [
            ("printf '21.5\\r\\n'", Ok("21.5")),
            ("echo 'a\nb'", Ok("a\nb")),
            ("true", Err("printed nothing")),
            ("echo no sensor >&2; exit 3", Err("3: no sensor")),
            ("head -c 101 /dev/zero", Err("more than the 100 bytes")),
            ("yes", Err("more than the 100 bytes")),
            ("head -c 1000000 /dev/zero >&2; echo 1", Ok("1")),
            ("sleep 20", Err("took longer")),
        ] {
            let command = ["sh", "-c", script].map(OsString::from);
            let printed = run(&command, limit, 100).await;
            match (printed, expected) {
                (Ok(bytes), Ok(text)) => assert_eq!(bytes, text.as_bytes(), "{script}"),
                (Err(error), Err(text)) => {
                    assert!(error.to_string().contains(text), "{script}: {error}");
                }
                (other, _) => panic!("{script}: {other:?}"),
            }
        }
        let missing = [OsString::from("/no/such/program")];
        let error = run(&missing, limit, 100).await.unwrap_err();
        assert!(matches!(error, CommandError::Start(_)));
    }
}
