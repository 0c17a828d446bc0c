use std::io::Write;
use std::path::Path;

use ashya_protocol::DeviceKey;

use super::Finding;
use crate::causes::causes;
use crate::data::{DataDir, DataError};

/// As much as a spool of pictures writes at once.
const PROBE_BYTES: usize = 1 << 20;

/// What was found of the key.
pub(super) struct KeyFound {
    pub(super) finding: Finding,
    /// The key, where there is one.
    pub(super) key: Option<DeviceKey>,
}

/// Writes to the data folder, where events wait for a gateway that is away, and reads the key.
pub(super) fn check(path: &Path) -> (Finding, KeyFound) {
    let nothing = |finding| KeyFound { finding, key: None };
    let data = match DataDir::open(path) {
        Ok(data) => data,
        Err(error) => {
            let todo =
                "make the folder and give it to the user that runs the agent (chown, chmod 700)";
            let key = nothing(Finding::failed("not looked for", "mend the folder first"));
            return (Finding::failed(causes(&error), todo), key);
        }
    };
    let in_use = matches!(data.lock(), Err(DataError::InUse(_)));
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
        false => nothing(Finding::Ok(
            "there is none yet; the first start makes one (`key restore` brings back another device's)".into(),
        )),
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

/// Puts some bytes on the disk and takes them away again.
fn probe(path: &Path) -> std::io::Result<()> {
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
        let (data, key) = check(folder.path());
        assert!(matches!(data, Finding::Ok(_)), "{data}");
        assert!(key.key.is_none() && !DataDir::open(folder.path()).unwrap().has_key());
        let made = DataDir::open(folder.path()).unwrap().device_key().unwrap();
        let (_, key) = check(folder.path());
        assert!(
            key.finding
                .to_string()
                .contains(&made.device_id().to_string())
        );
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (data, key) = check(file.path());
        assert!(matches!(data, Finding::Failed(..)), "{data}");
        assert!(key.key.is_none());
    }
}
