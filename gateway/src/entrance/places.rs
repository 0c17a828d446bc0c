use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::client::Network;

/// How many connections there may be at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlaceLimits {
    /// In all; more wait in the kernel.
    pub(crate) in_all: usize,
    /// From one IPv4 address, or one /64 of IPv6; more are closed at once. 0 is no limit.
    pub(crate) per_address: usize,
    /// Addresses that many clients share: proxies, and this machine itself.
    pub(crate) shared: Vec<IpNet>,
}

/// The places of one kind of clients. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    vacant: Arc<Semaphore>,
    limits: PlaceLimits,
    taken: Mutex<HashMap<Network, usize>>,
    refused: Counter,
}

/// A place for a client that is still to come.
#[derive(Debug)]
pub(crate) struct Vacancy {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A client's place; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    _vacancy: Vacancy,
    counted: Option<(Arc<Shared>, Network)>,
}

impl Places {
    /// Places that are all free; `refused` counts the clients that found none.
    pub(crate) fn new(limits: PlaceLimits, refused: Counter) -> Self {
        let in_all = limits.in_all.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            vacant: Arc::new(Semaphore::new(in_all)),
            limits,
            taken: Mutex::default(),
            refused,
        }))
    }

    /// Waits until there is room.
    pub(crate) async fn vacancy(&self) -> Vacancy {
        // The semaphore is never closed.
        let permit = self.0.vacant.clone().acquire_owned().await;
        Vacancy {
            _permit: permit.ok(),
        }
    }

    /// Gives the vacancy to a client, unless its address has as many places as it may.
    pub(crate) fn take(&self, vacancy: Vacancy, address: IpAddr) -> Option<Place> {
        let counted = if self.0.limits.counts(address) {
            let network = Network::from(address);
            let mut taken = self.0.taken.lock();
            let places = taken.entry(network).or_default();
            if *places >= self.0.limits.per_address {
                self.0.refused.inc();
                return None;
            }
            *places += 1;
            Some((self.0.clone(), network))
        } else {
            None
        };
        Some(Place {
            _vacancy: vacancy,
            counted,
        })
    }
}

impl PlaceLimits {
    fn counts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.per_address > 0 && !self.shared.iter().any(|network| network.contains(&address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((shared, network)) = self.counted.take() else {
            return;
        };
        let mut taken = shared.taken.lock();
        if let Some(places) = taken.get_mut(&network) {
            *places -= 1;
            // So that only those who are here take memory.
            if *places == 0 {
                taken.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(per_address: usize) -> Places {
        let shared = vec!["10.0.0.0/8".parse().unwrap()];
        let limits = PlaceLimits {
            in_all: 100,
            per_address,
            shared,
        };
        Places::new(limits, Counter::default())
    }

    async fn fill(places: &Places, address: &str, clients: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        for _ in 0..clients {
            let vacancy = places.vacancy().await;
            taken.extend(places.take(vacancy, address.parse().unwrap()));
        }
        taken
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_no_more() {
        for (per_address, one, other, got) in [
            (3, "192.0.2.1", "192.0.2.2", [3, 3]),
            (3, "192.0.2.1", "::ffff:192.0.2.1", [3, 0]),
            // Whoever has one address of IPv6 has its neighbours too.
            (3, "2001:db8::1", "2001:db8::ffff:2", [3, 0]),
            (3, "2001:db8::1", "2001:db8:0:1::1", [3, 3]),
            (3, "10.1.2.3", "10.1.2.3", [5, 5]),
            (0, "192.0.2.1", "192.0.2.1", [5, 5]),
        ] {
            let places = places(per_address);
            let (first, second) = (fill(&places, one, 5).await, fill(&places, other, 5).await);
            assert_eq!([first.len(), second.len()], got, "{one} {other}");
            let refused = 10 - (first.len() + second.len()) as u64;
            assert_eq!(places.0.refused.get(), refused, "{one} {other}");
        }
    }

    #[tokio::test]
    async fn who_leaves_makes_room_and_is_forgotten() {
        let places = places(2);
        let mut taken = fill(&places, "192.0.2.1", 3).await;
        assert_eq!(taken.len(), 2);
        taken.pop();
        taken.extend(fill(&places, "192.0.2.1", 2).await);
        assert_eq!(taken.len(), 2);
        taken.clear();
        assert!(places.0.taken.lock().is_empty());
        assert_eq!(places.0.vacant.available_permits(), 100);
    }
}
