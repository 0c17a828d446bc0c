use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::{SessionClaims, Sessions};
use crate::auth::AuthError;

/// One of the places that a wallet has for sockets and event streams; dropping it gives it back.
#[derive(Debug)]
pub struct Seat {
    /// Only this of the [`Sessions`]: there are as many seats as sockets.
    book: Arc<Mutex<Book>>,
    claims: SessionClaims,
    revoked: CancellationToken,
}

impl Sessions {
    /// Takes a place for a socket by a session.
    ///
    /// # Errors
    /// When the session was revoked meanwhile, or the wallet has no place left.
    pub fn sit(&self, claims: SessionClaims) -> Result<Seat, AuthError> {
        let revoked = self.book.lock().sit(claims, self.max_seats)?;
        Ok(Seat {
            book: self.book.clone(),
            claims,
            revoked,
        })
    }
}

impl Seat {
    /// The session by which it is taken.
    pub const fn claims(&self) -> SessionClaims {
        self.claims
    }

    /// Waits until the session is revoked. Safe to drop while it waits.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.revoked.clone().cancelled_owned()
    }

    /// Cancelled once the session is revoked.
    pub(crate) fn revocation(&self) -> CancellationToken {
        self.revoked.clone()
    }

    /// Goes on by another session of the same wallet.
    ///
    /// # Errors
    /// When that one is another wallet's, or was revoked; then the old one still holds.
    pub fn renew(&mut self, claims: SessionClaims) -> Result<(), AuthError> {
        if claims.wallet != self.claims.wallet {
            return Err(AuthError::Invalid);
        }
        // One seat is given back for the one that is taken, so the limit does not matter here.
        let mut book = self.book.lock();
        let revoked = book.sit(claims, usize::MAX)?;
        book.leave(self.claims);
        drop(book);
        self.claims = claims;
        self.revoked = revoked;
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.book.lock().leave(self.claims);
    }
}
