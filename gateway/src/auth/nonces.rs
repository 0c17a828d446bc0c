//! Nonces: signed by the gateway, good once and for some minutes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use thiserror::Error;

use super::session_id::SessionId;
use crate::chain_clock::wall_clock;
use crate::store::{Store, StoreError};

const ID_BYTES: usize = 16;
const EXPIRY_BYTES: usize = 8;
/// Half of an HMAC-SHA-256 (RFC 2104, section 5 allows it) keeps the nonce readable in a wallet's window.
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = ID_BYTES + EXPIRY_BYTES + TAG_BYTES;

type NonceId = [u8; ID_BYTES];

/// Issues nonces and remembers the used ones until they run out. Cheap to clone.
///
/// An unused nonce costs no memory: it carries its own expiry and the fleet's tag. Used ones are kept on disk too,
/// so that a restart does not make them good again.
#[derive(Debug, Clone)]
pub(crate) struct Nonces {
    tagger: Hmac<Sha256>,
    lifetime: Duration,
    capacity: usize,
    store: Store,
    used: Arc<Mutex<Used>>,
}

/// What a nonce is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Anybody's sign-in.
    SignIn,
    /// A password of a registered device. There is room for these when sign-ins have taken all of theirs: a stranger
    /// must not keep devices out.
    Password,
}

#[derive(Debug, Default)]
struct Used {
    ids: HashSet<NonceId>,
    /// In the order in which they run out, Unix seconds first.
    by_expiry: BTreeSet<(u64, NonceId)>,
}

/// A nonce that is ours, has not run out, and was not used when it was looked at.
#[derive(Debug)]
#[must_use = "a nonce is spent only by `Nonces::spend`"]
pub(crate) struct FreshNonce {
    id: NonceId,
    expires_at: u64,
}

/// Why a nonce is refused.
#[derive(Debug, Error)]
pub(crate) enum NonceError {
    /// Not one of ours.
    #[error("the nonce is not one of this gateway's")]
    Invalid,
    /// It has run out.
    #[error("the nonce has run out")]
    Expired,
    /// It was used before.
    #[error("the nonce was used before")]
    Used,
    /// Too many nonces were used in the last minutes.
    #[error("too many sign-ins in the last minutes")]
    Busy,
    /// The store failed.
    #[error("used nonces cannot be written")]
    Store(#[from] StoreError),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Nonces {
    /// Nonces of `lifetime` under the fleet's key, at most `capacity` used ones at a time, and as many again that only
    /// devices use.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn load(
        store: Store,
        key: &[u8],
        lifetime: Duration,
        capacity: usize,
    ) -> Result<Self, StoreError> {
        let mut tagger = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        tagger.update(b"ashya-nonce");
        let mut used = Used::default();
        for (key, expires_at) in store.nonces.load::<u64>()? {
            used.insert(key.try_into().map_err(|_| StoreError::Key)?, expires_at);
        }
        Ok(Self {
            tagger,
            lifetime,
            capacity,
            store,
            used: Arc::new(Mutex::new(used)),
        })
    }

    /// A fresh nonce of letters and digits, as EIP-4361 asks.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn issue(&self) -> Result<String, NonceError> {
        let mut bytes = [0; NONCE_BYTES];
        getrandom::fill(&mut bytes[..ID_BYTES]).map_err(NonceError::Random)?;
        let expires_at = (wall_clock() + self.lifetime).as_secs();
        bytes[ID_BYTES..][..EXPIRY_BYTES].copy_from_slice(&expires_at.to_be_bytes());
        let (body, tag) = bytes.split_at_mut(ID_BYTES + EXPIRY_BYTES);
        tag.copy_from_slice(&self.tag(body).finalize().into_bytes()[..TAG_BYTES]);
        Ok(hex::encode(bytes))
    }

    /// Looks at a nonce without using it up.
    ///
    /// # Errors
    /// When it is not ours, has run out, or was used.
    pub(crate) fn check(&self, nonce: &str) -> Result<FreshNonce, NonceError> {
        let mut bytes = [0; NONCE_BYTES];
        hex::decode_to_slice(nonce, &mut bytes).map_err(|_| NonceError::Invalid)?;
        // One nonce has one spelling.
        if nonce.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NonceError::Invalid);
        }
        let (body, tag) = bytes.split_at(ID_BYTES + EXPIRY_BYTES);
        self.tag(body)
            .verify_truncated_left(tag)
            .map_err(|_| NonceError::Invalid)?;
        let (id, expiry) = body.split_at(ID_BYTES);
        let id = id.try_into().map_err(|_| NonceError::Invalid)?;
        let expires_at = u64::from_be_bytes(expiry.try_into().map_err(|_| NonceError::Invalid)?);
        if expires_at <= wall_clock().as_secs() {
            return Err(NonceError::Expired);
        }
        if self.used.lock().ids.contains(&id) {
            return Err(NonceError::Used);
        }
        Ok(FreshNonce { id, expires_at })
    }

    /// Uses a nonce up. Of two callers with the same nonce only one succeeds; that is on the disk when this returns.
    /// Gives back the name of what was done with it.
    ///
    /// # Errors
    /// When it was used meanwhile, or too many were used lately.
    pub(crate) async fn spend(
        &self,
        nonce: FreshNonce,
        purpose: Purpose,
    ) -> Result<SessionId, NonceError> {
        let capacity = match purpose {
            Purpose::SignIn => self.capacity,
            Purpose::Password => 2 * self.capacity,
        };
        let gone = {
            let mut used = self.used.lock();
            let now = wall_clock().as_secs();
            // Proving a wallet takes time; once it has run out, that it was used may be forgotten already.
            if nonce.expires_at <= now {
                return Err(NonceError::Expired);
            }
            let gone = used.forget_before(now);
            if used.ids.contains(&nonce.id) {
                return Err(NonceError::Used);
            }
            if used.ids.len() >= capacity {
                return Err(NonceError::Busy);
            }
            used.insert(nonce.id, nonce.expires_at);
            gone
        };
        for id in gone {
            self.store.nonces.remove(&id)?;
        }
        self.store.nonces.put(&nonce.id, &nonce.expires_at)?;
        self.store.flush().await?;
        Ok(SessionId::new(nonce.id))
    }

    fn tag(&self, body: &[u8]) -> Hmac<Sha256> {
        self.tagger.clone().chain_update(body)
    }
}

impl Used {
    fn insert(&mut self, id: NonceId, expires_at: u64) {
        self.ids.insert(id);
        self.by_expiry.insert((expires_at, id));
    }

    /// Forgets what has run out: the expiry alone refuses it from then on.
    fn forget_before(&mut self, now: u64) -> Vec<NonceId> {
        let live = self.by_expiry.split_off(&(now + 1, [0; ID_BYTES]));
        let gone = std::mem::replace(&mut self.by_expiry, live);
        let ids: Vec<NonceId> = gone.into_iter().map(|(_, id)| id).collect();
        for id in &ids {
            self.ids.remove(id);
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(lifetime: Duration, capacity: usize) -> (Nonces, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let nonces = Nonces::load(store, &[7; 32], lifetime, capacity).unwrap();
        (nonces, folder)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_nonce_is_good_once_even_after_a_restart() {
        let (nonces, _folder) = nonces(MINUTE, 10);
        let nonce = nonces.issue().unwrap();
        assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let first = nonces.check(&nonce).unwrap();
        let second = nonces.check(&nonce).unwrap();
        nonces.spend(first, Purpose::SignIn).await.unwrap();
        assert!(matches!(
            nonces.spend(second, Purpose::SignIn).await,
            Err(NonceError::Used)
        ));
        assert!(matches!(nonces.check(&nonce), Err(NonceError::Used)));
        let again = Nonces::load(nonces.store.clone(), &[7; 32], MINUTE, 10).unwrap();
        assert!(matches!(again.check(&nonce), Err(NonceError::Used)));
    }

    #[test]
    fn foreign_and_altered_nonces_are_refused() {
        let (nonces, _folder) = nonces(MINUTE, 10);
        let good = nonces.issue().unwrap();
        let foreign = Nonces::load(nonces.store.clone(), &[8; 32], MINUTE, 10).unwrap();
        let flipped = if good.starts_with('0') { "1" } else { "0" };
        for bad in [
            String::new(),
            "a".repeat(80),
            good[..78].to_owned(),
            format!("{good}00"),
            format!("{flipped}{}", &good[1..]),
            good.to_uppercase()
                .replace(|c: char| c.is_ascii_digit(), "A"),
            foreign.issue().unwrap(),
        ] {
            assert!(
                matches!(nonces.check(&bad), Err(NonceError::Invalid)),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_nonce_runs_out() {
        let (nonces, _folder) = nonces(Duration::ZERO, 10);
        let nonce = nonces.issue().unwrap();
        assert!(matches!(nonces.check(&nonce), Err(NonceError::Expired)));
    }

    #[tokio::test]
    async fn a_nonce_that_runs_out_during_the_proof_is_not_spent() {
        let (nonces, _folder) = nonces(MINUTE, 10);
        let fresh = nonces.check(&nonces.issue().unwrap()).unwrap();
        let expires_at = wall_clock().as_secs();
        let late = FreshNonce {
            expires_at,
            ..fresh
        };
        let spent = nonces.spend(late, Purpose::SignIn).await;
        assert!(matches!(spent, Err(NonceError::Expired)), "{spent:?}");
    }

    #[tokio::test]
    async fn memory_is_bounded_and_freed() {
        let (nonces, _folder) = nonces(MINUTE, 1);
        let spend = |purpose| {
            let nonce = nonces.issue().unwrap();
            nonces.spend(nonces.check(&nonce).unwrap(), purpose)
        };
        spend(Purpose::SignIn).await.unwrap();
        let refused = spend(Purpose::SignIn).await;
        assert!(matches!(refused, Err(NonceError::Busy)));
        // A device still comes in, as long as its own have not come as often.
        spend(Purpose::Password).await.unwrap();
        let refused = spend(Purpose::Password).await;
        assert!(matches!(refused, Err(NonceError::Busy)));
        let later = wall_clock().as_secs() + 61;
        assert_eq!(nonces.used.lock().forget_before(later).len(), 2);
        spend(Purpose::SignIn).await.unwrap();
    }

    #[tokio::test]
    async fn a_million_nonces_leave_room_for_the_next() {
        const CAPACITY: usize = 1_000;
        let (nonces, _folder) = nonces(MINUTE, CAPACITY);
        // Unused ones leave nothing behind.
        for _ in 0..10_000 {
            let fresh = nonces.check(&nonces.issue().unwrap()).unwrap();
            drop(fresh);
        }
        assert_eq!(nonces.used.lock().ids.len(), 0);
        // Used ones come at a pace of half the capacity in their lifetime, and are forgotten at the same pace.
        let (start, lifetime, each_second) = (1_000_000_u64, 60, CAPACITY as u64 / 120);
        let mut used = Used::default();
        for number in 0..1_000_000_u64 {
            let now = start + number / each_second;
            used.forget_before(now);
            let mut id = [0; ID_BYTES];
            id[..8].copy_from_slice(&number.to_be_bytes());
            used.insert(id, now + lifetime);
            assert!(used.ids.len() < CAPACITY && used.ids.len() == used.by_expiry.len());
        }
        *nonces.used.lock() = used;
        // The wall clock stands after all of them.
        nonces
            .spend(
                nonces.check(&nonces.issue().unwrap()).unwrap(),
                Purpose::SignIn,
            )
            .await
            .unwrap();
        assert_eq!(nonces.used.lock().ids.len(), 1);
    }

    #[test]
    fn a_nonce_is_forgotten_in_the_second_in_which_it_has_run_out() {
        let mut used = Used::default();
        for (byte, expires_at) in [(1, 99), (2, 100), (255, 100), (3, 101)] {
            used.insert([byte; ID_BYTES], expires_at);
        }
        let mut gone = used.forget_before(100);
        gone.sort_unstable();
        assert_eq!(gone, [1, 2, 255].map(|byte| [byte; ID_BYTES]));
        assert!(used.ids.contains(&[3; ID_BYTES]) && used.ids.len() == 1);
    }
}
