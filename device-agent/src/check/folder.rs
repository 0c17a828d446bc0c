use std::io::{self, Write};
use std::path::Path;

use ashya_protocol::DeviceKey;

use super::Finding;
use crate::causes::causes;
use crate::data::DataDir;

/// As much as a spool of pictures writes at once.
const PROBE_BYTES: usize = 1 << 20;

const NO_KEY: &str =
    "there is none yet; the first start makes one (`key restore` brings back another device's)";

/// What was found of the key.
pub(super) struct KeyFound {
    pub(super) finding: Finding,
    /// The key, where there is one.
    pub(super) key: Option<DeviceKey>,
}

/// Writes to the data folder, where events wait for a gateway that is away, and reads the key.
pub(super) fn check(path: &Path) -> (Finding, KeyFound) {
    let nothing = |finding| KeyFound { finding, key: None };
    let Some(data) = DataDir::find(path) else {
        return match probe_parent(path) {
            Ok(()) => {
                let words = format!(
                    "{} is not there yet; the first start makes it",
                    path.display()
                );
                (Finding::Ok(words), nothing(Finding::Ok(NO_KEY.into())))
            }
            Err(error) => {
                let todo = "make the folder and give it to the user that runs the agent (chown, chmod 700)";
                let words = format!("cannot make {}: {error}", path.display());
                let key = Finding::failed("not looked for", "mend the folder first");
                (Finding::failed(words, todo), nothing(key))
            }
        };
    };
    let in_use = data.is_in_use();
    let folder = match probe(path) {
        Ok(()) if in_use => Finding::Ok(format!(
            "{} can be written, and an agent is using it",
            path.display()
        )),
        Ok(()) => Finding::Ok(format!("{} can be written", path.display())),
        Err(error) => Finding::failed(
            format!("cannot write to {}: {error}", path.display()),
            "make room on the disk (df), or give the folder to the user that runs the agent (chown)",
        ),
    };
    let key = match data.has_key() {
        false => nothing(Finding::Ok(NO_KEY.into())),
        true => match data.device_key() {
            Ok(key) => KeyFound {
                finding: Finding::Ok(format!(
                    "device {}; keep a copy by `ashya-agent key backup FILE`",
                    key.device_id()
                )),
                key: Some(key),
            },
            Err(error) => nothing(Finding::failed(
                causes(&error),
                "bring back a copy: move the damaged file away, then `ashya-agent key restore FILE`",
            )),
        },
    };
    (folder, key)
}

/// Tries the folder in which a missing folder would be made.
fn probe_parent(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let parent = path.ancestors().find(|folder| folder.exists());
    // The parent of a name alone is the current folder.
    probe(parent.unwrap_or(Path::new(".")))
}

/// Puts some bytes on the disk and takes them away again.
fn probe(path: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(path)?;
    file.write_all(&vec![0xa5; PROBE_BYTES])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_and_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not/there");
        for path in [missing.as_path(), folder.path()] {
            let (data, key) = check(path);
            assert!(matches!(data, Finding::Ok(_)), "{data}");
            assert!(key.key.is_none());
            let mut found = std::fs::read_dir(folder.path()).unwrap();
            assert!(found.next().is_none(), "{}", path.display());
        }
        let made = DataDir::open(folder.path()).unwrap().device_key().unwrap();
        let (_, key) = check(folder.path());
        assert!(
            key.finding
                .to_string()
                .contains(&made.device_id().to_string())
        );
    }

    #[test]
    fn an_agent_that_runs_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let lock = DataDir::open(folder.path()).unwrap().lock().unwrap();
        let using = "an agent is using it";
        assert!(check(folder.path()).0.to_string().contains(using));
        drop(lock);
        assert!(!check(folder.path()).0.to_string().contains(using));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (data, key) = check(file.path());
        assert!(matches!(data, Finding::Failed(..)), "{data}");
        assert!(key.key.is_none());
    }
}
