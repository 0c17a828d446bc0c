//! Keys in files that a password opens: Web3 Secret Storage, version 3, as geth, Clef and Foundry write them.

use std::fs;
use std::io;
use std::path::Path;

use ashya_protocol::DeviceKey;
use ethers::core::rand::thread_rng;
use ethers::signers::{LocalWallet, WalletError};
use serde::Deserialize;
use thiserror::Error;

/// Why a keystore gives no key, or cannot be made.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It is not a keystore.
    #[error("it is no keystore of version 3: {0}")]
    Format(String),
    /// The password does not open it.
    #[error("the password does not open it")]
    Password,
}

/// The parts whose sizes the decoder takes for granted.
#[derive(Deserialize)]
struct Shape {
    version: u8,
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    kdfparams: KdfParams,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u8,
}

/// Opens a keystore.
///
/// # Errors
/// When the file cannot be read, is something else, or has another password.
pub fn read_keystore(path: &Path, password: &str) -> Result<DeviceKey, KeystoreError> {
    let text = fs::read_to_string(path)?;
    let shape: Shape =
        serde_json::from_str(&text).map_err(|error| KeystoreError::Format(error.to_string()))?;
    let Crypto {
        cipher,
        cipherparams,
        kdfparams,
    } = shape.crypto;
    let regular = shape.version == 3
        && cipher == "aes-128-ctr"
        && hex::decode(&cipherparams.iv).is_ok_and(|iv| iv.len() == 16)
        && kdfparams.dklen >= 32;
    if !regular {
        return Err(KeystoreError::Format(
            "expected aes-128-ctr with an iv of 16 bytes and a key of 32".to_owned(),
        ));
    }
    let wallet = LocalWallet::decrypt_keystore(path, password).map_err(reason)?;
    let secret = wallet.signer().to_bytes();
    DeviceKey::from_bytes(secret.into()).map_err(|error| KeystoreError::Format(error.to_string()))
}

/// Makes a keystore with a new random key, readable by its owner alone.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn create_keystore(path: &Path, password: &str) -> Result<DeviceKey, KeystoreError> {
    let wallet = LocalWallet::new(&mut thread_rng());
    let key = DeviceKey::from_bytes(wallet.signer().to_bytes().into())
        .map_err(|error| KeystoreError::Format(error.to_string()))?;
    write_keystore(path, password, &key)?;
    Ok(key)
}

/// Keeps a key in a new keystore, readable by its owner alone.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write_keystore(path: &Path, password: &str, key: &DeviceKey) -> Result<(), KeystoreError> {
    // Made empty and closed to others first: nobody's file is overwritten, and nobody reads while it is written.
    drop(private_file(path)?);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut secret = [0; 32];
    hex::decode_to_slice(key.to_secret_hex(), &mut secret)
        .map_err(|error| KeystoreError::Format(error.to_string()))?;
    LocalWallet::encrypt_keystore(folder, &mut thread_rng(), secret, password, Some(name))
        .map_err(reason)?;
    // What was written is what opens, or the address would get money that nobody can move.
    let kept = read_keystore(path, password)?;
    if kept.address() == key.address() {
        Ok(())
    } else {
        Err(KeystoreError::Format("it holds another key".to_owned()))
    }
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn reason(error: WalletError) -> KeystoreError {
    match error {
        WalletError::IoError(error) => error.into(),
        WalletError::EthKeystoreError(error) if error.to_string().contains("Mac Mismatch") => {
            KeystoreError::Password
        }
        other => KeystoreError::Format(other.to_string()),
    }
}
