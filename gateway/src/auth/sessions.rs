//! Sessions of wallets.

use std::time::Duration;

use ashya_protocol::Address;
use ashya_protocol::rest::Session;

use super::AuthError;
use super::tokens::Tokens;
use crate::chain_clock::wall_clock;

/// Issues and checks the bearer tokens of wallets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    tokens: Tokens,
    lifetime: Duration,
}

/// What a good token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionClaims {
    /// The wallet that it speaks for.
    pub wallet: Address,
    /// Unix second (wall clock) at which it ends.
    pub expires_at: u64,
}

impl Sessions {
    /// Sessions of `lifetime` under the gateway's secret.
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        Self {
            tokens: Tokens::new(secret, "ashya-session"),
            lifetime,
        }
    }

    /// A new session for a wallet that has proven itself.
    pub fn issue(&self, wallet: Address) -> Session {
        let expires_at = (wall_clock() + self.lifetime).as_secs();
        Session {
            token: self.tokens.issue(wallet, expires_at),
            wallet,
            expires_at,
        }
    }

    /// The wallet behind a token.
    ///
    /// # Errors
    /// When the token is not ours or has run out.
    pub fn wallet_of(&self, token: &str) -> Result<SessionClaims, AuthError> {
        let (wallet, expires_at) = self.tokens.verify(token)?;
        Ok(SessionClaims { wallet, expires_at })
    }
}
