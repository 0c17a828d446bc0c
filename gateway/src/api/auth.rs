use ashya_contracts::Rpc;
use ashya_protocol::rest::{Nonce, Session, SessionRequest};
use ashya_protocol::typed_data::personal_message;
use axum::Json;
use axum::extract::State;

use super::extract::JsonBody;
use super::{HttpError, Site};
use crate::auth::nonces::Nonces;
use crate::auth::sessions::Sessions;
use crate::auth::siwe::SiweMessage;
use crate::chain_clock::wall_clock;
use crate::metrics::Metrics;

/// `POST /v1/auth/nonce`
pub(super) async fn nonce(State(nonces): State<Nonces>) -> Result<Json<Nonce>, HttpError> {
    let nonce = nonces.issue()?;
    Ok(Json(Nonce { nonce }))
}

/// `POST /v1/auth/session`: Sign-In with Ethereum.
///
/// The nonce is spent last, so that a node that is gone for a moment does not cost the wallet a second signature.
pub(super) async fn session(
    State(nonces): State<Nonces>,
    State(sessions): State<Sessions>,
    State(rpc): State<Rpc>,
    State(site): State<Site>,
    State(metrics): State<Metrics>,
    JsonBody(request): JsonBody<SessionRequest>,
) -> Result<Json<Session>, HttpError> {
    let message = SiweMessage::parse(&request.message)?;
    message.check(&site.0.domains, site.0.chain.chain_id, wall_clock())?;
    let nonce = nonces.check(&message.nonce)?;
    let signature = parse_signature(&request.signature)?;
    let digest = personal_message(&request.message);
    let valid = rpc
        .verify_signature(message.address, &digest, &signature)
        .await?;
    if !valid {
        return Err(HttpError::forbidden(
            "signature-invalid",
            format!("the message is not signed by {}", message.address),
        ));
    }
    nonces.spend(nonce).await?;
    metrics.sessions.inc();
    Ok(Json(sessions.issue(message.address)))
}

/// Reads a wallet's signature: of any length, since smart accounts decide themselves what they accept.
fn parse_signature(text: &str) -> Result<Vec<u8>, HttpError> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty());
    digits
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| {
            HttpError::bad_request(
                "signature-malformed",
                "the signature must be 0x and hexadecimal",
            )
        })
}
