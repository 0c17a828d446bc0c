//! Whether a gateway's offer is what the chain says.

use std::fmt;

use ashya_protocol::{Address, Domain, FeedId, Hash, Offer, Wei};

/// Where a gateway's word differs from the chain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It offers another feed than the one that was asked for.
    Feed { offered: FeedId },
    /// It names another chain than that of our node.
    Chain { offered: u64, ours: u64 },
    /// It names another contract than the one that is trusted.
    Ledger { offered: Address, ours: Address },
    /// It names another price than the ledger.
    Price { offered: Wei, ledger: Wei },
    /// It names another listing than the ledger.
    Listing { offered: Hash, ledger: Hash },
}

impl Lie {
    /// Whether no delay of blocks explains it.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::Feed { .. } | Self::Chain { .. } | Self::Ledger { .. }
        )
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed { offered } => write!(f, "it offers the feed {offered} instead"),
            Self::Chain { offered, ours } => {
                write!(
                    f,
                    "it names chain {offered}, and the node of --rpc serves chain {ours}"
                )
            }
            Self::Ledger { offered, ours } => {
                write!(
                    f,
                    "it names the ledger {offered}, and the trusted one is {ours}"
                )
            }
            Self::Price { offered, ledger } => {
                write!(
                    f,
                    "it asks {offered} wei per second, and the ledger {ledger}"
                )
            }
            Self::Listing { offered, ledger } => {
                write!(f, "it names the listing {offered}, and the ledger {ledger}")
            }
        }
    }
}

/// Holds an offer against what was asked for and what the ledger says. The minimum is of no account: the contract's own
/// counts.
pub(crate) fn check(
    offer: &Offer,
    feed: FeedId,
    domain: Domain,
    price: Wei,
    listing: Hash,
) -> Option<Lie> {
    if offer.feed != feed {
        let offered = offer.feed;
        return Some(Lie::Feed { offered });
    }
    if let Some(lie) = check_domain(offer.chain_id, offer.ledger, domain) {
        return Some(lie);
    }
    if offer.price != price {
        let (offered, ledger) = (offer.price, price);
        return Some(Lie::Price { offered, ledger });
    }
    if offer.listing != listing {
        let (offered, ledger) = (offer.listing, listing);
        return Some(Lie::Listing { offered, ledger });
    }
    None
}

/// Holds the chain and the ledger that a gateway names against ours.
pub(crate) fn check_domain(chain_id: u64, ledger: Address, ours: Domain) -> Option<Lie> {
    if chain_id != ours.chain_id {
        return Some(Lie::Chain {
            offered: chain_id,
            ours: ours.chain_id,
        });
    }
    (ledger != ours.ledger).then_some(Lie::Ledger {
        offered: ledger,
        ours: ours.ledger,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found() {
        let feed = FeedId::new([1; 32]);
        let ours = Address::new([2; 20]);
        let domain = Domain {
            chain_id: 1,
            ledger: ours,
        };
        let (price, listing) = (Wei::new(5), Hash::new([4; 32]));
        let honest = Offer {
            feed,
            price,
            listing,
            chain_id: 1,
            ledger: ours,
            minimum: 60,
        };
        let with = |change: fn(&mut Offer)| {
            let mut offer = honest.clone();
            change(&mut offer);
            check(&offer, feed, domain, price, listing)
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|offer| offer.minimum = 1), None);
        for (change, is_final, words) in [
            (
                (|offer| offer.feed = FeedId::new([9; 32])) as fn(&mut Offer),
                true,
                "feed",
            ),
            (|offer| offer.chain_id = 2, true, "chain 2"),
            (|offer| offer.ledger = Address::new([3; 20]), true, "ledger"),
            (|offer| offer.price = Wei::new(6), false, "6 wei"),
            (|offer| offer.price = Wei::new(4), false, "4 wei"),
            (|offer| offer.listing = Hash::ZERO, false, "listing"),
        ] {
            let lie = with(change).unwrap();
            assert_eq!(lie.is_final(), is_final, "{lie}");
            assert!(lie.to_string().contains(words), "{lie}");
        }
    }
}
