use std::ffi::OsString;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::unsettled;
use crate::source::video::VideoError;

/// Ends a group of processes once its own input closes, which it does however this program ends.
#[cfg(unix)]
const GUARD: &str = r#"read -r _; kill -s KILL -- "-$1""#;
/// Longest wait for a process to end that has closed its log, which all do that end by themselves.
const LAST_STEPS: Duration = Duration::from_secs(1);
/// Time between two looks at whether it has ended.
const NAP: Duration = Duration::from_millis(5);

/// A running ffmpeg, with all that it starts: `ffmpeg` may be a script that starts the real one. It never outlives this
/// value, nor this program, even when that is killed: a guard, a shell that holds the other end of a pipe, ends it then.
/// (ffmpeg by itself would notice when it writes its next frame, which a camera that is silent keeps it from.)
#[derive(Debug)]
pub(super) struct Ffmpeg {
    child: Child,
    guard: Option<Child>,
}

impl Ffmpeg {
    /// Starts `program`, which is ffmpeg, with its output and its log.
    ///
    /// # Errors
    /// When it is not installed, or it or the guard cannot be started.
    pub(super) fn start(
        program: &str,
        arguments: &[OsString],
    ) -> Result<(Self, ChildStdout, ChildStderr), VideoError> {
        let mut command = Command::new(program);
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

    /// Whether it has ended by itself and calls that a success. To be asked once its log has ended.
    pub(super) fn ended_well(&mut self) -> bool {
        let due = Instant::now() + LAST_STEPS;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    // Its number may belong to another process from now on.
                    self.dismiss_guard();
                    return status.success();
                }
                Ok(None) if Instant::now() < due => thread::sleep(NAP),
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Ends the guard before it ends anything.
    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // It may have ended by itself.
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn processes(&self) -> Vec<u32> {
        let guard = self.guard.as_ref().map(Child::id);
        std::iter::once(self.child.id()).chain(guard).collect()
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // It ends the whole group. The child is waited for after that: until then no other group has its number.
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
        // It may have ended by itself; either way nothing of it must stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process group of its own: it can be ended as a whole, and Ctrl-C in a terminal is for this program alone, which then
/// ends its children in order.
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

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::sync::mpsc::channel;

    use super::*;

    /// A shell in the place of ffmpeg.
    fn start(script: &str) -> (Ffmpeg, ChildStdout, ChildStderr) {
        Ffmpeg::start("sh", &["-c".into(), script.into()]).unwrap()
    }

    #[test]
    fn what_a_script_in_the_place_of_ffmpeg_started_ends_with_it() {
        let (ffmpeg, output, mut log) = start("sleep 600 & echo started; wait; exit 0");
        let started = BufReader::new(output).lines().next().unwrap().unwrap();
        assert_eq!(started, "started");
        let (ended, end) = channel();
        // As the thread that reads the log does: it must come to its end, and `sleep` holds that open.
        let reader = thread::spawn(move || {
            log.read_to_end(&mut Vec::new()).unwrap();
            ended.send(()).unwrap();
        });
        drop(ffmpeg);
        end.recv_timeout(Duration::from_secs(10))
            .expect("the log ends with all that hold it");
        reader.join().unwrap();
    }

    #[test]
    fn how_it_ended_is_told_once_its_log_has() {
        for (script, well) in [
            ("exit 0", true),
            ("exit 1", false),
            ("kill -s KILL $$", false),
            // It goes on in silence.
            ("exec 2>&-; exec sleep 600", false),
        ] {
            let (mut ffmpeg, _, mut log) = start(script);
            log.read_to_end(&mut Vec::new()).unwrap();
            assert_eq!(ffmpeg.ended_well(), well, "{script}");
        }
    }
}
