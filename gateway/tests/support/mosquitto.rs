//! A real broker of somebody else's: Debian's mosquitto on a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for its port.
const PATIENCE: Duration = Duration::from_secs(10);
/// Debian keeps it where only root's PATH looks.
const FOLDERS: [&str; 4] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
    "/opt/homebrew/bin",
];

/// A running mosquitto; dropping it kills it.
pub(crate) struct Mosquitto {
    pub(crate) port: u16,
    child: Child,
    folder: PathBuf,
}

impl Mosquitto {
    /// Starts a broker whose configuration, after the port, is `settings`. Its files are in `folder`.
    pub(crate) fn start(folder: &Path, settings: &str) -> Self {
        let port = free_port();
        // Without `user root` it would give up the rights to read its files when root starts it.
        let config = format!("user root\nlistener {port} 127.0.0.1\n{settings}\n");
        std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
        Self {
            port,
            child: spawn(folder, port),
            folder: folder.to_owned(),
        }
    }

    /// Writes a password file with one user, and gives the settings that name it.
    pub(crate) fn password_file(folder: &Path, user: &str, password: &str) -> String {
        let path = folder.join("passwords");
        let made = Command::new(program("mosquitto_passwd"))
            .args(["-c", "-b", path.to_str().unwrap(), user, password])
            .status()
            .expect(MISSING);
        assert!(made.success());
        format!("allow_anonymous false\npassword_file {}", path.display())
    }

    /// Kills the broker.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port; it remembers nothing.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.folder, self.port);
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MISSING: &str =
    "this test needs mosquitto: scripts/setup.sh test installs it, or apt-get install mosquitto";

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .expect(MISSING)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16) -> Child {
    let child = Command::new(program("mosquitto"))
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(MISSING);
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}
