//! JSON Web Tokens (RFC 7519), HS256 with the fleet's key.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::AuthError;
use super::session_id::SessionId;
use crate::chain_clock::wall_clock;

/// Signs and checks the tokens of one kind; a token of one kind is never taken for another.
#[derive(Clone)]
pub(super) struct Tokens {
    audience: &'static str,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims<S> {
    aud: String,
    sub: S,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<SessionId>,
    iat: u64,
    exp: u64,
}

impl Tokens {
    pub(super) fn new(secret: &[u8], audience: &'static str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["aud", "exp", "sub"]);
        validation.leeway = 0;
        Self {
            audience,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for `subject` that ends at the Unix second `expires_at`, by the name of `id` where it has one.
    pub(super) fn issue<S: Serialize>(
        &self,
        subject: S,
        id: Option<SessionId>,
        expires_at: u64,
    ) -> String {
        let claims = Claims {
            aud: self.audience.to_owned(),
            sub: subject,
            jti: id,
            iat: wall_clock().as_secs(),
            exp: expires_at,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("HS256 over plain claims cannot fail")
    }

    /// The subject of a token, its name, and the Unix second at which it ends.
    pub(super) fn verify<S: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<(S, Option<SessionId>, u64), AuthError> {
        let claims = jsonwebtoken::decode::<Claims<S>>(token, &self.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => AuthError::Expired,
                _ => AuthError::Invalid,
            })?
            .claims;
        // `Validation` lets the very second of the expiry pass.
        if claims.exp <= wall_clock().as_secs() {
            return Err(AuthError::Expired);
        }
        Ok((claims.sub, claims.jti, claims.exp))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_at_its_second_and_says_so() {
        let tokens = Tokens::new(&[7; 32], "test");
        let now = wall_clock().as_secs();
        for (name, expires_at, expected) in [
            ("good", now + 100, Ok(now + 100)),
            ("this second", now, Err(AuthError::Expired)),
            ("long ago", now - 100, Err(AuthError::Expired)),
        ] {
            let token = tokens.issue("me", None, expires_at);
            let found = tokens.verify::<String>(&token);
            assert_eq!(
                found,
                expected.map(|end| ("me".into(), None, end)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_token_of_another_kind_or_key_is_refused() {
        let tokens = Tokens::new(&[7; 32], "test");
        let end = wall_clock().as_secs() + 100;
        for other in [
            Tokens::new(&[7; 32], "other"),
            Tokens::new(&[8; 32], "test"),
        ] {
            let found = tokens.verify::<String>(&other.issue("me", None, end));
            assert_eq!(found, Err(AuthError::Invalid), "{other:?}");
        }
    }
}
