//! The wallet's key: from exactly one place, and never shown.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use ashya_protocol::{Address, DeviceKey, KeyError};
use thiserror::Error;
use url::Url;

use crate::error::ChainError;
use crate::keystore::{KeystoreError, read_keystore};
use crate::signer::ExternalSigner;
use crate::wallet::Wallet;

/// Environment variable with the wallet's secret key. It is no argument, because arguments are seen by everybody.
const KEY: &str = "ASHYA_KEY";

/// Where a command finds the key of its wallet.
#[derive(Debug, Clone, clap::Args)]
#[command(
    next_help_heading = "Key: one of --keystore, --key-file, --signer, or the secret key in ASHYA_KEY"
)]
pub struct KeyArgs {
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
pub enum KeySourceError {
    /// More than one place is named.
    #[error("name one key, not several: {0}")]
    Several(String),
    /// The key file cannot be read, or holds no key.
    #[error("the key file {}: {reason}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others may read the key file.
    #[error("the key file {} can be read by others: chmod 600 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The variable holds no key.
    #[error("{KEY}: {0}")]
    Variable(KeyError),
    /// The keystore gives no key.
    #[error("the keystore {}: {reason}", .path.display())]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: KeystoreError,
    },
    /// The file of the password cannot be read.
    #[error("the password file {}: {reason}", .path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: io::Error,
    },
    /// Nobody is there to ask.
    #[error(
        "a keystore needs a password: name its file by --password-file, or run this at a terminal"
    )]
    NoPassword,
    /// The terminal gave no password.
    #[error("the password: {0}")]
    Prompt(io::Error),
    /// A slip of a finger.
    #[error("the two passwords differ")]
    Differ,
    /// A signer without its account, or the other way round.
    #[error("--signer and --from go together")]
    Incomplete,
    /// The external signer cannot be used.
    #[error("--signer: {0}")]
    Signer(ChainError),
}

impl KeyArgs {
    /// The wallet of the one key that is named; `None` when none is.
    ///
    /// # Errors
    /// When several are named, or the one is not to be had.
    pub fn wallet(&self) -> Result<Option<Wallet>, KeySourceError> {
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
    ///
    /// # Errors
    /// When the file cannot be read, or nobody is there to ask.
    pub fn password(&self, asking: Asking) -> Result<String, KeySourceError> {
        read_password(self.password_file.as_deref(), asking)
    }
}

/// The password of a keystore: from this file, or from whoever sits at the terminal.
///
/// # Errors
/// When the file cannot be read, or nobody is there to ask.
pub fn read_password(file: Option<&Path>, asking: Asking) -> Result<String, KeySourceError> {
    if let Some(path) = file {
        let text = fs::read_to_string(path);
        let text = text.map_err(|reason| KeySourceError::PasswordFile {
            path: path.to_owned(),
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

/// What a password is for.
#[derive(Debug, Clone, Copy)]
pub enum Asking {
    /// To open what is there.
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
