use std::ffi::OsString;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use crate::environment::unsettled;
use crate::source::video::VideoError;

/// Ends a process once its own input closes, which it does however this program ends.
#[cfg(unix)]
const GUARD: &str = r#"read -r _; kill -s KILL "$1""#;

/// A running ffmpeg. It never outlives this value, nor this program, even when that is killed: a guard, a shell that holds
/// the other end of a pipe, ends it then. (ffmpeg by itself would notice when it writes its next frame, which a camera that
/// is silent keeps it from.)
#[derive(Debug)]
pub(super) struct Ffmpeg {
    child: Child,
    guard: Option<Child>,
}

impl Ffmpeg {
    /// Starts it, with its output and its log.
    ///
    /// # Errors
    /// When it is not installed, or it or the guard cannot be started.
    pub(super) fn start(
        arguments: &[OsString],
    ) -> Result<(Self, ChildStdout, ChildStderr), VideoError> {
        let mut command = Command::new("ffmpeg");
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        apart(&mut command);
        let child = unsettled(&mut command)
            .spawn()
            .map_err(VideoError::from_start)?;
        let mut ffmpeg = Self { child, guard: None };
        ffmpeg.guard = guard(&ffmpeg.child)?;
        let (Some(output), Some(log)) = (ffmpeg.child.stdout.take(), ffmpeg.child.stderr.take())
        else {
            unreachable!("both are piped");
        };
        Ok((ffmpeg, output, log))
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn processes(&self) -> Vec<u32> {
        let guard = self.guard.as_ref().map(Child::id);
        std::iter::once(self.child.id()).chain(guard).collect()
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        // The guard first: after the wait for the child its number may belong to another process.
        for process in self.guard.iter_mut().chain([&mut self.child]) {
            // It may have ended by itself; either way nothing of it must stay behind.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A process group of its own: Ctrl-C in a terminal is for this program, which then ends its children in order.
#[cfg(unix)]
fn apart(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn apart(_: &mut Command) {}

#[cfg(unix)]
fn guard(child: &Child) -> Result<Option<Child>, VideoError> {
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARD, "ffmpeg-guard", &child.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    apart(&mut command);
    command.spawn().map(Some).map_err(VideoError::Guard)
}

/// Elsewhere ffmpeg ends when it writes its next frame.
#[cfg(not(unix))]
fn guard(_: &Child) -> Result<Option<Child>, VideoError> {
    Ok(None)
}
