//! Sessions of wallets.
//!
//! A token is good by its signature alone, so that every gateway of a fleet takes it; what a gateway keeps is the list
//! of those that it gave out, and of those that were revoked until they would have run out anyway.

mod book;
mod seat;

use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::Address;
use ashya_protocol::rest::{Session, SessionInfo};
use parking_lot::Mutex;
use thiserror::Error;

use super::AuthError;
use super::session_id::SessionId;
use super::tokens::Tokens;
use crate::chain_clock::wall_clock;
use crate::store::{Store, StoreError};

use book::{Book, Record};
pub use seat::Seat;

/// Issues, checks, lists and revokes the bearer tokens of wallets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    tokens: Tokens,
    lifetime: Duration,
    max_seats: usize,
    store: Store,
    book: Arc<Mutex<Book>>,
}

/// What a good token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionClaims {
    /// The session.
    pub id: SessionId,
    /// The wallet that it speaks for.
    pub wallet: Address,
    /// Unix second (wall clock) at which it ends.
    pub expires_at: u64,
}

/// Why no session was opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It was one, and is over.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Sessions of `lifetime` under the fleet's key, with those that the store knows. A wallet may have `max_seats`
    /// sockets and event streams open at a time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(
        store: Store,
        key: &[u8],
        lifetime: Duration,
        max_seats: usize,
    ) -> Result<Self, StoreError> {
        let mut book = Book::default();
        for (key, record) in store.sessions.load::<Record>()? {
            let id = key.try_into().map_err(|_| StoreError::Key)?;
            book.insert(SessionId::new(id), record);
        }
        Ok(Self {
            tokens: Tokens::new(key, "ashya-session"),
            lifetime,
            max_seats,
            store,
            book: Arc::new(Mutex::new(book)),
        })
    }

    /// A new session for a wallet that has proven itself; it is listed on disk when this returns. The id is that of the
    /// nonce that the wallet signed, so that a text opens one and the same session wherever in a fleet it is shown.
    ///
    /// # Errors
    /// When that session was revoked, perhaps at another gateway, or the store fails.
    pub async fn open(&self, wallet: Address, id: SessionId) -> Result<Session, OpenError> {
        let (now, expires_at) = self.span();
        let record = Record::open(wallet, now, expires_at);
        let changed = {
            let mut book = self.book.lock();
            // Its tokens would be good again.
            if book.is_revoked(id) {
                return Err(AuthError::Revoked.into());
            }
            let mut changed = book.forget_before(now);
            changed.extend(book.make_room_for(wallet));
            book.insert(id, record);
            changed.push(id);
            changed
        };
        self.write(&changed)?;
        self.store.flush().await?;
        Ok(self.token(wallet, id, expires_at))
    }

    /// The session behind a token.
    ///
    /// # Errors
    /// When the token is not ours, has run out, or was revoked.
    pub fn verify(&self, token: &str) -> Result<SessionClaims, AuthError> {
        let (wallet, id, expires_at) = self.tokens.verify(token)?;
        let id = id.ok_or(AuthError::Invalid)?;
        if self.book.lock().is_revoked(id) {
            return Err(AuthError::Revoked);
        }
        Ok(SessionClaims {
            id,
            wallet,
            expires_at,
        })
    }

    /// The wallet's sessions that this gateway gave out and that are good, the newest first.
    pub fn list(&self, wallet: Address) -> Vec<SessionInfo> {
        let now = wall_clock().as_secs();
        let book = self.book.lock();
        let sessions = book.live_of(wallet);
        sessions
            .filter(|(_, record)| record.expires_at > now)
            .map(|(id, record)| SessionInfo {
                id: id.to_string(),
                issued_at: record.issued_at,
                expires_at: record.expires_at,
                sockets: book.seats_of(id),
                current: false,
            })
            .collect()
    }

    /// Ends the session that a token speaks for, also one that another gateway of the fleet gave out. Its sockets
    /// close at once; that it is over is on the disk when this returns.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end(&self, claims: SessionClaims) -> Result<(), StoreError> {
        let record = Record::open(
            claims.wallet,
            wall_clock().as_secs().min(claims.expires_at),
            claims.expires_at,
        );
        self.book.lock().revoke(claims.id, record);
        self.write(&[claims.id])?;
        self.store.flush().await
    }

    /// Ends one of the wallet's listed sessions, as [`Self::end`]. False when it has none of that id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_listed(&self, wallet: Address, id: SessionId) -> Result<bool, StoreError> {
        let known = {
            let mut book = self.book.lock();
            match book.live(id).filter(|record| record.wallet == wallet) {
                Some(record) => {
                    book.revoke(id, record);
                    true
                }
                None => false,
            }
        };
        if known {
            self.write(&[id])?;
            self.store.flush().await?;
        }
        Ok(known)
    }

    /// Ends all of the wallet's listed sessions, as [`Self::end`]; gives back how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_all(&self, wallet: Address) -> Result<usize, StoreError> {
        let ids = {
            let mut book = self.book.lock();
            let live: Vec<_> = book.live_of(wallet).collect();
            for (id, record) in &live {
                book.revoke(*id, *record);
            }
            live.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        self.write(&ids)?;
        self.store.flush().await?;
        Ok(ids.len())
    }

    /// A token for tests: nothing is listed.
    #[cfg(test)]
    pub(crate) fn issue(&self, wallet: Address) -> Session {
        let (_, expires_at) = self.span();
        self.token(wallet, SessionId::random(), expires_at)
    }

    /// Sessions over a store that goes with the process, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(key: &[u8], lifetime: Duration) -> Self {
        Self::load(Store::temporary(), key, lifetime, 64).unwrap()
    }

    fn span(&self) -> (u64, u64) {
        let now = wall_clock();
        (now.as_secs(), (now + self.lifetime).as_secs())
    }

    fn token(&self, wallet: Address, id: SessionId, expires_at: u64) -> Session {
        Session {
            token: self.tokens.issue(wallet, Some(id), expires_at),
            wallet,
            expires_at,
        }
    }

    /// Brings what the book now says of these to the store, which is not flushed.
    fn write(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        for id in ids {
            // Bound to a name, so that the book is not locked while the store writes.
            let record = self.book.lock().record(*id);
            match record {
                Some(record) => self.store.sessions.put(id.as_bytes(), &record)?,
                None => self.store.sessions.remove(id.as_bytes())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
