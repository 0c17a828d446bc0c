use std::ffi::OsString;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes of a failing command's complaint that are told.
const COMPLAINT_BYTES: u64 = 400;

/// How long what a command has left behind may hold its pipes: what it printed itself is there by then.
const AFTERMATH: Duration = Duration::from_secs(2);

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
/// than `limit`, and where this is dropped, with all that it has started; so is what it leaves behind with its pipes open.
///
/// # Errors
/// When it fails, is slow, prints nothing, or more than `most` bytes.
pub(super) async fn run(
    command: &[OsString],
    limit: Duration,
    most: usize,
) -> Result<Vec<u8>, CommandError> {
    let (program, arguments) = command.split_first().ok_or(CommandError::Silent)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(CommandError::Start)?;
    let mut group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut complaint) = (Vec::new(), Vec::new());
    let work = async {
        let reading = async {
            let printed = read(stdout, &mut printed, most as u64 + 1);
            tokio::join!(printed, drain(stderr, &mut complaint)).0
        };
        let mut reading = pin!(reading);
        let (status, read) = tokio::select! {
            read = &mut reading => (child.wait().await, Some(read)),
            status = child.wait() => (status, timeout(AFTERMATH, reading).await.ok()),
        };
        if let Some(read) = read {
            read.map_err(CommandError::Read)?;
            group.0 = None;
        }
        status.map_err(CommandError::Read)
    };
    let done = timeout(limit, work).await;
    let status = done.map_err(|_| CommandError::Slow(limit))??;
    if printed.len() > most {
        return Err(CommandError::TooLong(most));
    }
    if !status.success() {
        return Err(CommandError::Failed {
            status: status.to_string(),
            complaint: on_one_line(&complaint),
        });
    }
    printed.pop_if(|last| *last == b'\n');
    printed.pop_if(|last| *last == b'\r');
    if printed.is_empty() {
        return Err(CommandError::Silent);
    }
    Ok(printed)
}

/// A process group that is killed when this is dropped, unless nobody is in it any more.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.0 {
            // The shell has a safe way to do it. Nobody is there to be told that it failed.
            let _ = std::process::Command::new("sh")
                .args(["-c", "kill -s KILL -- -$1", "kill", &group.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Reads what comes, up to a limit; who prints more finds the pipe closed.
async fn read(
    input: Option<impl AsyncRead + Unpin>,
    bytes: &mut Vec<u8>,
    most: u64,
) -> std::io::Result<()> {
    if let Some(input) = input {
        input.take(most).read_to_end(bytes).await?;
    }
    Ok(())
}

/// Reads the beginning of a complaint, and the rest for nothing, so that nobody waits for a full pipe.
async fn drain(input: Option<impl AsyncRead + Unpin>, complaint: &mut Vec<u8>) {
    let Some(input) = input else {
        return;
    };
    let mut input = BufReader::new(input);
    // A complaint that cannot be read is none.
    let _ = (&mut input)
        .take(COMPLAINT_BYTES)
        .read_to_end(complaint)
        .await;
    let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
}

fn on_one_line(complaint: &[u8]) -> String {
    String::from_utf8_lossy(complaint)
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

    /// Whatever holds the pipes of a command that has ended, or takes too long, ends with it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_that_a_command_starts_outlives_it() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("pid");
        for (script, expected) in [
            ("sleep 300 & echo $! > \"$0\"; echo 21.5", Some("21.5")),
            ("sleep 300 & echo $! > \"$0\"; wait", None),
        ] {
            let command = ["sh", "-c", script, note.to_str().unwrap()].map(OsString::from);
            let begun = std::time::Instant::now();
            let printed = run(&command, Duration::from_secs(3), 100).await;
            assert_eq!(printed.ok().as_deref(), expected.map(str::as_bytes));
            assert!(begun.elapsed() < Duration::from_secs(20));
            let pid = std::fs::read_to_string(&note).unwrap();
            let stat = format!("/proc/{}/stat", pid.trim());
            let is_there = || {
                // One that nobody has waited for yet is dead all the same.
                let stat = std::fs::read_to_string(&stat);
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            let deadline = begun + Duration::from_secs(20);
            while is_there() {
                assert!(std::time::Instant::now() < deadline, "{script}");
                tokio::task::yield_now().await;
            }
        }
    }
}
