//! The wallet's key: from exactly one place, and never shown.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use ashya_contracts::{ChainError, ExternalSigner, KeystoreError, Wallet, read_keystore};
use ashya_protocol::{Address, DeviceKey, KeyError};
use thiserror::Error;
use url::Url;

/// Environment variable with the wallet's secret key. It is no argument, because arguments are seen by everybody.
const KEY: &str = "ASHYA_KEY";

#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Key: one of --keystore, --key-file, --signer, or the secret key in ASHYA_KEY"
)]
pub(crate) struct KeyArgs {
    /// Keystore file (Web3 Secret Storage V3, as geth, Clef and cast write it)
    #[arg(long, global = true, env = "ASHYA_KEYSTORE", value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// File with the keystore's password; asked for at a terminal when left out
    #[arg(
        long,
        global = true,
        env = "ASHYA_KEYSTORE_PASSWORD_FILE",
        value_name = "FILE"
    )]
    password_file: Option<PathBuf>,
    /// File with the secret key in hexadecimal, which nobody else may read
    #[arg(long, global = true, env = "ASHYA_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// External signer, which answers eth_signTransaction; needs --from
    #[arg(long, global = true, env = "ASHYA_SIGNER", value_name = "URL")]
    signer: Option<Url>,
    /// Account of the external signer
    #[arg(long, global = true, env = "ASHYA_FROM", value_name = "ADDRESS")]
    from: Option<Address>,
}

/// Why the arguments name no key.
#[derive(Debug, Error)]
pub(crate) enum KeySourceError {
    #[error("name one key, not several: {0}")]
    Several(String),
    #[error("the key file {}: {reason}", .path.display())]
    KeyFile { path: PathBuf, reason: String },
    #[error("the key file {} can be read by others: chmod 600 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    #[error("{KEY}: {0}")]
    Variable(KeyError),
    #[error("the keystore {}: {reason}", .path.display())]
    Keystore {
        path: PathBuf,
        reason: KeystoreError,
    },
    #[error("the password file {}: {reason}", .path.display())]
    PasswordFile { path: PathBuf, reason: io::Error },
    #[error(
        "a keystore needs a password: name its file by --password-file, or run this at a terminal"
    )]
    NoPassword,
    #[error("the password: {0}")]
    Prompt(io::Error),
    #[error("the two passwords differ")]
    Differ,
    #[error("--signer and --from go together")]
    Incomplete,
    #[error("--signer: {0}")]
    Signer(ChainError),
}

impl KeyArgs {
    /// The wallet of the one key that is named; `None` when none is.
    pub(super) fn wallet(&self) -> Result<Option<Wallet>, KeySourceError> {
        // An empty variable is how a container's file leaves one out.
        let variable = env::var(KEY).ok().filter(|text| !text.is_empty());
        let named = [
            ("--keystore", self.keystore.is_some()),
            ("--key-file", self.key_file.is_some()),
            ("--signer", self.signer.is_some()),
            (KEY, variable.is_some()),
        ];
        let named: Vec<&str> = named
            .into_iter()
            .filter_map(|(name, there)| there.then_some(name))
            .collect();
        if named.len() > 1 {
            return Err(KeySourceError::Several(named.join(", ")));
        }
        if self.signer.is_some() != self.from.is_some() {
            return Err(KeySourceError::Incomplete);
        }
        if let Some(path) = &self.keystore {
            let password = self.password(Asking::ToOpen)?;
            let key = read_keystore(path, &password);
            let key = key.map_err(|reason| KeySourceError::Keystore {
                path: path.clone(),
                reason,
            })?;
            return Ok(Some(Wallet::new(key)));
        }
        if let Some(path) = &self.key_file {
            return Ok(Some(Wallet::new(read_key_file(path)?)));
        }
        if let (Some(url), Some(from)) = (&self.signer, self.from) {
            let signer = ExternalSigner::new(url.clone(), from);
            let signer = signer.map_err(KeySourceError::Signer)?;
            return Ok(Some(Wallet::external(signer)));
        }
        variable
            .map(|text| DeviceKey::from_hex(&text).map(Wallet::new))
            .transpose()
            .map_err(KeySourceError::Variable)
    }

    /// The password of the keystore: from its file, or from whoever sits at the terminal.
    pub(super) fn password(&self, asking: Asking) -> Result<String, KeySourceError> {
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path);
            let text = text.map_err(|reason| KeySourceError::PasswordFile {
                path: path.clone(),
                reason,
            })?;
            // Editors end a file with a line break, which nobody means.
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if !io::stdin().is_terminal() {
            return Err(KeySourceError::NoPassword);
        }
        let ask = |text| rpassword::prompt_password(text).map_err(KeySourceError::Prompt);
        let password = ask("Password of the keystore: ")?;
        if matches!(asking, Asking::ForNew) && ask("The same again: ")? != password {
            return Err(KeySourceError::Differ);
        }
        Ok(password)
    }
}

/// What a password is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asking {
    ToOpen,
    /// A slip of a finger would lock the key in, so it is asked twice.
    ForNew,
}

fn read_key_file(path: &Path) -> Result<DeviceKey, KeySourceError> {
    let failed = |reason: String| KeySourceError::KeyFile {
        path: path.to_owned(),
        reason,
    };
    if readable_by_others(path).map_err(|error| failed(error.to_string()))? {
        return Err(KeySourceError::Exposed(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    DeviceKey::from_hex(&text).map_err(|error| failed(error.to_string()))
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path)?;
    // A pipe, as a shell's `<(…)` makes it, is nobody else's.
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path) -> io::Result<bool> {
    Ok(false)
}
