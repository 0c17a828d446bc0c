//! Which sessions there are, and who sits in the gateway by them. No I/O.

use std::collections::{BTreeSet, HashMap};

use ashya_protocol::Address;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::SessionClaims;
use crate::auth::AuthError;
use crate::auth::session_id::SessionId;
use crate::defaults::{MAX_SESSIONS, MAX_SESSIONS_PER_WALLET};

/// What is remembered of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) wallet: Address,
    /// Unix second.
    pub(crate) issued_at: u64,
    /// Unix second at which it ends by itself, and is forgotten.
    pub(crate) expires_at: u64,
    pub(crate) revoked: bool,
}

impl Record {
    pub(super) const fn open(wallet: Address, issued_at: u64, expires_at: u64) -> Self {
        Self {
            wallet,
            issued_at,
            expires_at,
            revoked: false,
        }
    }
}

/// The sessions that a gateway has to know of.
#[derive(Debug, Default)]
pub(super) struct Book {
    records: HashMap<SessionId, Record>,
    /// All of them, in the order in which they run out.
    by_expiry: BTreeSet<(u64, SessionId)>,
    /// Those that are not revoked, oldest first.
    live: BTreeSet<(u64, SessionId)>,
    by_wallet: HashMap<Address, BTreeSet<(u64, SessionId)>>,
    seats: HashMap<SessionId, Seats>,
    seats_by_wallet: HashMap<Address, usize>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: usize,
    revoked: CancellationToken,
}

impl Book {
    /// Adds or replaces a session.
    pub(super) fn insert(&mut self, id: SessionId, record: Record) {
        self.forget(id);
        self.records.insert(id, record);
        self.by_expiry.insert((record.expires_at, id));
        if !record.revoked {
            let age = (record.issued_at, id);
            self.live.insert(age);
            self.by_wallet.entry(record.wallet).or_default().insert(age);
        }
    }

    /// Forgets what has run out by `now`: the expiry alone refuses it from then on.
    pub(super) fn forget_before(&mut self, now: u64) -> Vec<SessionId> {
        let mut gone = Vec::new();
        while let Some((expires_at, id)) = self.by_expiry.first().copied() {
            if expires_at > now {
                break;
            }
            self.forget(id);
            gone.push(id);
        }
        gone
    }

    /// Makes room for one more session of the wallet: its oldest is revoked when it has too many, and the oldest of all
    /// is no longer listed when there are too many.
    pub(super) fn make_room_for(&mut self, wallet: Address) -> Vec<SessionId> {
        let mut changed = Vec::new();
        let own = self.by_wallet.get(&wallet);
        if let Some(&(_, oldest)) = own
            .filter(|own| own.len() >= MAX_SESSIONS_PER_WALLET)
            .and_then(BTreeSet::first)
            && let Some(record) = self.live(oldest)
        {
            self.revoke(oldest, record);
            changed.push(oldest);
        }
        if self.live.len() >= MAX_SESSIONS
            && let Some(&(_, oldest)) = self.live.first()
        {
            self.forget(oldest);
            changed.push(oldest);
        }
        changed
    }

    /// Ends a session and whoever sits by it.
    pub(super) fn revoke(&mut self, id: SessionId, record: Record) {
        let revoked = true;
        self.insert(id, Record { revoked, ..record });
        if let Some(seats) = self.seats.get(&id) {
            seats.revoked.cancel();
        }
    }

    pub(super) fn is_revoked(&self, id: SessionId) -> bool {
        self.records.get(&id).is_some_and(|record| record.revoked)
    }

    pub(super) fn record(&self, id: SessionId) -> Option<Record> {
        self.records.get(&id).copied()
    }

    pub(super) fn live(&self, id: SessionId) -> Option<Record> {
        self.record(id).filter(|record| !record.revoked)
    }

    /// The wallet's sessions that are not revoked, the newest first.
    pub(super) fn live_of(&self, wallet: Address) -> impl Iterator<Item = (SessionId, Record)> {
        let sessions = self.by_wallet.get(&wallet).into_iter().flatten().rev();
        sessions.filter_map(|(_, id)| Some((*id, self.record(*id)?)))
    }

    /// How many sit by a session.
    pub(super) fn seats_of(&self, id: SessionId) -> usize {
        self.seats.get(&id).map_or(0, |seats| seats.taken)
    }

    /// Sits down by a session; what comes back is cancelled when the session is revoked.
    pub(super) fn sit(
        &mut self,
        claims: SessionClaims,
        max: usize,
    ) -> Result<CancellationToken, AuthError> {
        // Under the same lock as `revoke`, so that no revocation falls between the check and the seat.
        if self.is_revoked(claims.id) {
            return Err(AuthError::Revoked);
        }
        let taken = self.seats_by_wallet.entry(claims.wallet).or_default();
        if *taken >= max {
            return Err(AuthError::TooManySockets);
        }
        *taken += 1;
        let seats = self.seats.entry(claims.id).or_default();
        seats.taken += 1;
        Ok(seats.revoked.clone())
    }

    /// Gives a seat back.
    pub(super) fn leave(&mut self, claims: SessionClaims) {
        if let Some(seats) = self.seats.get_mut(&claims.id) {
            seats.taken -= 1;
            if seats.taken == 0 {
                self.seats.remove(&claims.id);
            }
        }
        if let Some(taken) = self.seats_by_wallet.get_mut(&claims.wallet) {
            *taken -= 1;
            if *taken == 0 {
                self.seats_by_wallet.remove(&claims.wallet);
            }
        }
    }

    fn forget(&mut self, id: SessionId) {
        let Some(record) = self.records.remove(&id) else {
            return;
        };
        self.by_expiry.remove(&(record.expires_at, id));
        let age = (record.issued_at, id);
        self.live.remove(&age);
        if let Some(own) = self.by_wallet.get_mut(&record.wallet) {
            own.remove(&age);
            if own.is_empty() {
                self.by_wallet.remove(&record.wallet);
            }
        }
    }

    /// Whether nothing at all is remembered.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.by_expiry.is_empty()
            && self.live.is_empty()
            && self.by_wallet.is_empty()
            && self.seats.is_empty()
            && self.seats_by_wallet.is_empty()
    }
}
