use std::cmp::Reverse;

use ashya_contracts::Rpc;
use ashya_protocol::rest::{Nonce, Session, SessionInfo, SessionList, SessionRequest};
use ashya_protocol::typed_data::personal_message;
use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::extract::{Bearer, Client, Id, JsonBody, Search};
use super::paging::{PageQuery, page};
use super::{HttpError, Site};
use crate::auth::nonces::{Nonces, Purpose};
use crate::auth::rates::Action;
use crate::auth::session_id::SessionId;
use crate::auth::sessions::Sessions;
use crate::auth::siwe::SiweMessage;
use crate::chain_clock::wall_clock;
use crate::metrics::Metrics;

/// `POST /v1/auth/nonce`
#[utoipa::path(
    post,
    path = "/v1/auth/nonce",
    operation_id = "nonce",
    responses((status = 200, description = "A fresh nonce", body = Nonce))
)]
pub(super) async fn nonce(
    State(nonces): State<Nonces>,
    client: Client,
) -> Result<Json<Nonce>, HttpError> {
    client.counts(Action::Nonce)?;
    let nonce = nonces.issue()?;
    Ok(Json(Nonce { nonce }))
}

/// `POST /v1/auth/session`: Sign-In with Ethereum.
///
/// The nonce is spent last, so that a node that is gone for a moment does not cost the wallet a second signature.
#[utoipa::path(
    post,
    path = "/v1/auth/session",
    operation_id = "session",
    request_body = SessionRequest,
    responses((status = 200, description = "The wallet is signed in", body = Session))
)]
pub(super) async fn session(
    State(nonces): State<Nonces>,
    State(sessions): State<Sessions>,
    State(rpc): State<Rpc>,
    State(site): State<Site>,
    State(metrics): State<Metrics>,
    client: Client,
    JsonBody(request): JsonBody<SessionRequest>,
) -> Result<Json<Session>, HttpError> {
    client.counts(Action::Session)?;
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
    client.counts_for(Action::Session, message.address)?;
    let id = nonces.spend(nonce, Purpose::SignIn).await?;
    metrics.sessions.inc();
    Ok(Json(sessions.open(message.address, id).await?))
}

/// `DELETE /v1/auth/session`: ends the session that asks.
#[utoipa::path(
    delete,
    path = "/v1/auth/session",
    operation_id = "sign_out",
    responses((status = 204, description = "The session is over")),
    security(("session" = []))
)]
pub(super) async fn sign_out(
    State(sessions): State<Sessions>,
    Bearer(session): Bearer,
) -> Result<StatusCode, HttpError> {
    sessions.end(session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/auth/sessions`: the wallet's sessions that this gateway opened.
#[utoipa::path(
    get,
    path = "/v1/auth/sessions",
    operation_id = "session_list",
    params(PageQuery),
    responses((status = 200, description = "The sessions", body = SessionList)),
    security(("session" = []))
)]
pub(super) async fn list(
    State(sessions): State<Sessions>,
    Bearer(session): Bearer,
    Search(query): Search<PageQuery>,
) -> Result<Json<SessionList>, HttpError> {
    let own = session.id.to_string();
    let listed = sessions.list(session.wallet).into_iter();
    let sessions = listed.map(|info| SessionInfo {
        current: info.id == own,
        ..info
    });
    let (sessions, next) = page(sessions.collect(), &query, |info| {
        (Reverse(info.issued_at), info.id.clone())
    })?;
    Ok(Json(SessionList { sessions, next }))
}

/// `DELETE /v1/auth/sessions`: ends all of the wallet's sessions that this gateway opened, and the one that asks.
#[utoipa::path(
    delete,
    path = "/v1/auth/sessions",
    operation_id = "sign_out_everywhere",
    responses((status = 204, description = "All sessions are over")),
    security(("session" = []))
)]
pub(super) async fn sign_out_everywhere(
    State(sessions): State<Sessions>,
    Bearer(session): Bearer,
) -> Result<StatusCode, HttpError> {
    sessions.end_all(session.wallet).await?;
    sessions.end(session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/auth/sessions/{id}`
#[utoipa::path(
    delete,
    path = "/v1/auth/sessions/{id}",
    operation_id = "session_end",
    params(("id" = String, Path, description = "Its id", pattern = "^[0-9a-f]{32}$")),
    responses((status = 204, description = "The session is over")),
    security(("session" = []))
)]
pub(super) async fn end(
    State(sessions): State<Sessions>,
    Bearer(session): Bearer,
    Id(id): Id<SessionId>,
) -> Result<StatusCode, HttpError> {
    if sessions.end_listed(session.wallet, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let detail = format!("this wallet has no session {id} here");
        Err(HttpError::not_found("session-unknown", detail))
    }
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
