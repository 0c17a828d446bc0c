use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::{POLL_INTERVAL, eventually};

/// How long a process may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Lines of a log that a failed test prints.
const TAIL_LINES: usize = 60;
/// Ends a process group once its own input closes, which it does however the parent ends.
const WATCHDOG: &str = r#"read -r _; kill -s KILL -- "-$1""#;

/// A child process with its log in a file. It leads a process group of its own and never outlives this value, nor
/// this program: a watchdog holds the other end of a pipe and ends the group when the program is gone, even by SIGKILL.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watchdog: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program, appending what it prints to `FOLDER/NAME.log`.
    ///
    /// # Errors
    /// When the program or its watchdog cannot be started.
    pub fn spawn(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self {
                name: name.to_owned(),
                child,
                watchdog,
                log,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("start the watchdog of a child process")
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that the process has printed.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with the end of the log when the process has ended.
    ///
    /// # Errors
    /// When it has.
    pub fn check_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.tail()),
        }
    }

    /// Waits until the log holds `text`.
    ///
    /// # Errors
    /// When the process ends first, or the time is over.
    pub async fn wait_for_log(&mut self, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{text:?} in the log of {}", self.name);
        let found = eventually(&what, limit, async || {
            if self.log().contains(text) {
                return Ok(Some(()));
            }
            self.check_running()?;
            Ok(None)
        })
        .await;
        found.with_context(|| format!("the log of {} ends with\n{}", self.name, self.tail()))
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually(&what, limit, async || self.ended()).await
    }

    /// Asks the process to end, as Ctrl-C does.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn interrupt(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::INT)?)
    }

    /// Stops the process without ending it: it answers nobody until [`Self::resume`].
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn pause(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::STOP)?)
    }

    /// Lets a paused process go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::CONT)?)
    }

    /// Ends the process group at once, as a crash does.
    pub fn kill(&mut self) {
        self.signal_group(Signal::KILL);
        let _ = self.child.wait();
    }

    /// The last lines of the log.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn pid(&self) -> Result<Pid> {
        let id = i32::try_from(self.child.id())?;
        Pid::from_raw(id).context("process id zero")
    }

    fn signal_group(&self, signal: Signal) {
        if let Ok(pid) = self.pid() {
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of the log of {}\n{}\n---", self.name, self.tail());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal_group(Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(POLL_INTERVAL);
            }
            if matches!(self.child.try_wait(), Ok(None)) {
                eprintln!("{} did not end when asked; killed", self.name);
                self.kill();
            }
        }
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// A shell with a child of its own, both of which ignore polite requests.
    fn stubborn(folder: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 300 & echo child $!; wait"]);
        Process::spawn("stubborn", command, folder).unwrap()
    }

    async fn child_of(process: &mut Process) -> Pid {
        process.wait_for_log("child", LIMIT).await.unwrap();
        let id = process.log().trim().rsplit(' ').next().unwrap().parse();
        Pid::from_raw(id.unwrap()).unwrap()
    }

    async fn gone(pid: Pid) {
        eventually("the child to end", LIMIT, async || {
            Ok(rustix::process::test_kill_process(pid)
                .is_err()
                .then_some(()))
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn dropping_ends_a_stubborn_process_and_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = stubborn(folder.path());
        let child = child_of(&mut process).await;
        drop(process);
        gone(child).await;
    }

    #[tokio::test]
    async fn the_watchdog_ends_the_group_when_its_pipe_closes() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = stubborn(folder.path());
        let child = child_of(&mut process).await;
        // The pipe closes when this program ends, in whatever way.
        drop(process.watchdog.stdin.take());
        assert!(!process.wait(LIMIT).await.unwrap().success());
        gone(child).await;
    }

    #[tokio::test]
    async fn waiting_for_a_log_tells_that_the_process_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo last words; exit 3"]);
        let mut process = Process::spawn("short", command, folder.path()).unwrap();
        let error = process.wait_for_log("never", LIMIT).await.unwrap_err();
        assert!(format!("{error:?}").contains("last words"), "{error:?}");
    }
}
