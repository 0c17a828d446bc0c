//! Who is asking: nonces, Sign-In with Ethereum, wallet sessions, and device passwords.

pub(crate) mod client;
pub(crate) mod device_passwords;
pub(crate) mod fleet_key;
pub(crate) mod nonces;
pub(crate) mod rates;
pub(crate) mod session_id;
pub(crate) mod sessions;
pub(crate) mod siwe;
mod tokens;

use thiserror::Error;

/// Why a token, password or nonce is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Not one of ours, or changed on the way.
    #[error("the token is not valid")]
    Invalid,
    /// It has run out.
    #[error("the token has run out")]
    Expired,
    /// The password is another device's.
    #[error("the password belongs to another device")]
    OtherDevice,
    /// The device is shut out.
    #[error("the device is blocked")]
    Blocked,
    /// The session was revoked.
    #[error("the session was revoked")]
    Revoked,
    /// The wallet's places are taken.
    #[error("this wallet has as many sockets open as it may")]
    TooManySockets,
}
