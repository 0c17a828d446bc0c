use ashya_protocol::ws::{CloseCode, ErrorCode};
use tokio_tungstenite::tungstenite::{Error, Message as Received, Utf8Bytes};

use crate::auth::AuthError;

/// Why a socket is over.
pub(super) enum End {
    /// The client is gone, or so stuck that not even a goodbye gets through.
    Gone,
    /// The client has said goodbye.
    Left,
    Close(CloseCode),
}

/// The text of a message; nothing for what tungstenite has dealt with.
pub(super) fn text_of(received: Result<Received, Error>) -> Result<Option<Utf8Bytes>, End> {
    match received {
        Ok(Received::Text(text)) => Ok(Some(text)),
        Ok(Received::Ping(_) | Received::Pong(_) | Received::Frame(_)) => Ok(None),
        Ok(Received::Close(_)) => Err(End::Left),
        Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) => Err(End::Gone),
        Ok(Received::Binary(_)) | Err(_) => Err(End::Close(CloseCode::Protocol)),
    }
}

/// What a client is told whose token is not taken, and how its socket then ends.
pub(super) const fn refusal(error: AuthError) -> (ErrorCode, CloseCode) {
    match error {
        AuthError::TooManySockets => (ErrorCode::TooManySockets, CloseCode::TooManySockets),
        AuthError::Revoked => (ErrorCode::Unauthorized, CloseCode::Revoked),
        AuthError::Invalid | AuthError::Expired | AuthError::OtherDevice | AuthError::Blocked => {
            (ErrorCode::Unauthorized, CloseCode::Unauthorized)
        }
    }
}
