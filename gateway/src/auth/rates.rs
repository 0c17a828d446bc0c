//! How often one client may ask for what costs the gateway something.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::Address;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use thiserror::Error;

use super::client::Network;
use crate::defaults::MAX_RATE_KEYS;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Asking for a nonce.
    Nonce,
    /// Signing in.
    Session,
    /// Registering a device, or what a feed sells.
    Registration,
    /// Asking for an MQTT password.
    Credentials,
}

/// How much is allowed in a minute, and at once; 0 means as much as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateConfig {
    /// Nonces of one network.
    pub nonces: u32,
    /// Sign-ins that one network tries.
    pub sessions: u32,
    /// Registrations of one network, of devices and of listings.
    pub registrations: u32,
    /// MQTT passwords of one network.
    pub credentials: u32,
    /// Sign-ins of one wallet, and MQTT passwords of one device, that has proven itself.
    pub per_address: u32,
}

/// Counts what clients do. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rates(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    nonces: Limit<Network>,
    sessions: Limit<Network>,
    registrations: Limit<Network>,
    credentials: Limit<Network>,
    addresses: Limit<(Action, Address)>,
}

/// The client has asked too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many requests: try again in {} s", self.retry_after())]
pub(crate) struct TooMany {
    wait: Duration,
}

impl TooMany {
    /// Whole seconds after which it makes sense to ask again, at least 1.
    pub(crate) fn retry_after(self) -> u64 {
        self.wait.as_millis().div_ceil(1_000).max(1) as u64
    }
}

impl Rates {
    pub(crate) fn new(config: RateConfig) -> Self {
        Self(Arc::new(Limits {
            nonces: Limit::new(config.nonces),
            sessions: Limit::new(config.sessions),
            registrations: Limit::new(config.registrations),
            credentials: Limit::new(config.credentials),
            addresses: Limit::new(config.per_address),
        }))
    }

    /// Counts what a client does, before it costs anything.
    ///
    /// # Errors
    /// When it does so too often.
    pub(crate) fn count(&self, action: Action, client: Network) -> Result<(), TooMany> {
        let limit = match action {
            Action::Nonce => &self.0.nonces,
            Action::Session => &self.0.sessions,
            Action::Registration => &self.0.registrations,
            Action::Credentials => &self.0.credentials,
        };
        limit.count(client)
    }

    /// Counts what a wallet or device does that has proven itself: a stranger must not use up its allowance.
    ///
    /// # Errors
    /// When it does so too often.
    pub(crate) fn count_proven(&self, action: Action, address: Address) -> Result<(), TooMany> {
        self.0.addresses.count((action, address))
    }
}

/// One allowance for each key, and one for all that there is no room for.
struct Limit<K: Hash + Eq + Clone> {
    limiter: Option<DefaultKeyedRateLimiter<Option<K>>>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(per_minute: u32) -> Self {
        let quota = NonZeroU32::new(per_minute).map(Quota::per_minute);
        Self {
            limiter: quota.map(RateLimiter::keyed),
            clock: DefaultClock::default(),
        }
    }

    fn count(&self, key: K) -> Result<(), TooMany> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if limiter.len() >= MAX_RATE_KEYS {
            limiter.retain_recent();
        }
        let key = Some(key).filter(|_| limiter.len() < MAX_RATE_KEYS);
        limiter.check_key(&key).map_err(|refused| TooMany {
            wait: refused.wait_time_from(self.clock.now()),
        })
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Limit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.limiter.as_ref().map(RateLimiter::len);
        f.debug_struct("Limit").field("keys", &keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const ALICE: Address = Address::new([1; 20]);

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn rates(nonces: u32, per_address: u32) -> Rates {
        Rates::new(RateConfig {
            nonces,
            sessions: 1,
            registrations: 1,
            credentials: 1,
            per_address,
        })
    }

    #[test]
    fn each_client_and_each_action_has_an_allowance() {
        let rates = rates(2, 1);
        let (one, two) = (network("1.1.1.1"), network("2.2.2.2"));
        for _ in 0..2 {
            rates.count(Action::Nonce, one).unwrap();
        }
        let refused = rates.count(Action::Nonce, one).unwrap_err();
        assert!((1..=30).contains(&refused.retry_after()), "{refused}");
        rates.count(Action::Nonce, two).unwrap();
        rates.count(Action::Session, one).unwrap();
        assert!(rates.count(Action::Session, one).is_err());
        rates.count_proven(Action::Session, ALICE).unwrap();
        assert!(rates.count_proven(Action::Session, ALICE).is_err());
        rates.count_proven(Action::Credentials, ALICE).unwrap();
    }

    #[test]
    fn a_client_comes_back_after_whole_seconds() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (30_000, 30)] {
            let wait = Duration::from_millis(millis);
            assert_eq!(TooMany { wait }.retry_after(), seconds, "{millis} ms");
        }
    }

    #[test]
    fn nothing_is_limited_by_a_limit_of_zero() {
        let rates = rates(0, 0);
        for _ in 0..1_000 {
            rates.count(Action::Nonce, network("1.1.1.1")).unwrap();
            rates.count_proven(Action::Session, ALICE).unwrap();
        }
    }

    #[test]
    fn a_crowd_of_addresses_does_not_fill_the_memory() {
        let limit = Limit::new(1);
        let refused = (0..MAX_RATE_KEYS as u32 + 1_000)
            .filter(|number| limit.count(*number).is_err())
            .count();
        assert_eq!(refused, 999, "those beyond share one allowance");
        assert!(limit.limiter.unwrap().len() <= MAX_RATE_KEYS + 1);
    }
}
