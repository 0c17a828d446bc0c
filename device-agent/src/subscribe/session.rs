//! Signing in at a gateway with a wallet: Sign-In with Ethereum (EIP-4361).

use ashya_contracts::{ChainError, Wallet};
use ashya_protocol::rest::{Session, SessionRequest};
use ashya_protocol::{Address, Domain, FeedId, Hash, Listing};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::{Position, Url};

use crate::gateway::{Gateway, GatewayError};

/// Why a wallet could not sign in.
#[derive(Debug, Error)]
pub(crate) enum SignInError {
    /// The gateway refuses, or cannot be reached.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The wallet gave no signature.
    #[error("the wallet did not sign the sign-in text")]
    Wallet(#[from] ChainError),
    /// The time cannot be written.
    #[error("the clock of this machine is out of range")]
    Clock(#[from] time::error::Format),
    /// The gateway took the signature for somebody else's.
    #[error("the gateway signed in {found} instead of {asked}")]
    Other {
        /// Whom it signed in.
        found: Address,
        /// Who asked.
        asked: Address,
    },
}

/// Signs in.
///
/// # Errors
/// When the gateway cannot be reached or refuses, or the wallet gives no signature.
pub(crate) async fn sign_in(
    gateway: &Gateway,
    wallet: &Wallet,
    domain: Domain,
) -> Result<Session, SignInError> {
    let nonce = gateway.nonce().await?;
    let message = message(gateway.base(), wallet.address(), domain.chain_id, &nonce)?;
    let signature = wallet.sign_message(&message).await?.to_string();
    let request = SessionRequest { message, signature };
    let session = gateway.session(&request).await?;
    if session.wallet == wallet.address() {
        return Ok(session);
    }
    Err(SignInError::Other {
        found: session.wallet,
        asked: wallet.address(),
    })
}

/// A feed's listing, if the gateway has the document whose hash is on the ledger.
pub(crate) async fn listing(gateway: &Gateway, feed: FeedId, hash: Hash) -> Option<Listing> {
    let document = gateway.listing(feed).await.ok()?;
    if Listing::hash_of(&document) != hash {
        return None;
    }
    Listing::from_canonical_json(&document).ok()
}

/// The text that is signed, for the origin of the gateway.
fn message(
    base: &Url,
    wallet: Address,
    chain_id: u64,
    nonce: &str,
) -> Result<String, time::error::Format> {
    let host = &base[Position::BeforeHost..Position::AfterPort];
    Ok(format!(
        "{host} wants you to sign in with your Ethereum account:\n{wallet}\n\nSign in to Ashya\n\nURI: {scheme}://{host}\n\
         Version: 1\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {issued}",
        wallet = wallet.to_checksummed(),
        scheme = base.scheme(),
        issued = OffsetDateTime::now_utc().format(&Rfc3339)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_origin_and_nothing_secret() {
        for (base, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://gate.example", "gate.example"),
            ("https://u:p@gate.example:444/sub/", "gate.example:444"),
        ] {
            let base: Url = base.parse().unwrap();
            let text = message(&base, Address::new([0xab; 20]), 5, "abcdefgh1").unwrap();
            let lines: Vec<_> = text.lines().collect();
            let first = format!("{host} wants you to sign in with your Ethereum account:");
            assert_eq!(lines[0], first);
            assert_eq!(lines[1], Address::new([0xab; 20]).to_checksummed());
            assert_eq!(lines[5], format!("URI: {}://{host}", base.scheme()));
            assert_eq!(lines[7..9], ["Chain ID: 5", "Nonce: abcdefgh1"]);
        }
    }
}
