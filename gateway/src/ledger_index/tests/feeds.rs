//! Feeds, the ways to find them, and their listings.

use std::sync::Arc;

use ashya_contracts::LedgerEvent;
use ashya_protocol::rest::FeedState;
use ashya_protocol::{Address, DeviceId, FeedId, Hash, Listing, Wei};

use super::{ALICE, BASE, BOB, CAMERA, FEED, OWNER, clock, history, index, opened, set};
use crate::ledger_index::{FeedView, LedgerIndex, ListingDocument};
use crate::registration_policy::RegistrationPolicy;

impl LedgerIndex {
    /// Without the listing document nothing is known of the streams.
    fn streams_are_hidden(&self) -> bool {
        self.feed(FEED).unwrap().streams().is_empty()
    }
}

#[test]
fn events_build_the_feed() {
    let index = index();
    index.apply(&history());
    let feed = index.feed(FEED).unwrap();
    assert_eq!(feed.name.as_str(), "gate");
    assert_eq!((feed.owner, feed.price), (BOB, Wei::new(7)));
    assert_eq!(feed.clock.base, BASE);
    assert_eq!(feed.clock.retires_at, Some(3_600));
    assert_eq!(index.feeds_of_device(DeviceId::new([6; 20])), [FEED]);
    assert_eq!(index.feeds_of_device(CAMERA), []);
    assert_eq!(index.subscriptions_of(ALICE).len(), 2);
    assert_eq!(index.subscriptions_of(BOB).len(), 1);
    assert!(index.streams_are_hidden());
}

#[test]
fn only_an_open_feed_is_offered() {
    let index = index();
    index.apply(&[opened(FEED), set(CAMERA, 7, 1)]);
    let offer = index.offer(&index.feed(FEED).unwrap()).unwrap();
    assert_eq!((offer.feed, offer.price), (FEED, Wei::new(7)));
    assert_eq!(offer.listing, Hash::new([1; 32]));
    assert_eq!((offer.chain_id, offer.minimum), (31_337, 60));
    for (word, state) in [
        (clock(Some(BASE + 50), 0, None), FeedState::Paused),
        (clock(None, 25, None), FeedState::Open),
        (clock(None, 25, Some(3_600)), FeedState::Retired),
        (clock(Some(BASE + 90), 25, Some(3_600)), FeedState::Retired),
    ] {
        index.apply(&[word]);
        let feed = index.feed(FEED).unwrap();
        assert_eq!(feed.state(), state);
        assert_eq!(index.offer(&feed).is_some(), state == FeedState::Open);
    }
}

#[test]
fn every_feed_is_found_by_its_id_and_by_who_may_pause_it() {
    let index = index();
    let other = FeedId::new([4; 32]);
    index.apply(&[opened(FEED), opened(other)]);
    let ids = |feeds: Vec<FeedView>| feeds.iter().map(|feed| feed.id).collect::<Vec<_>>();
    assert_eq!(ids(index.feeds()), [other, FEED]);
    assert_eq!(ids(index.feeds_of_pauser(BOB)), []);
    index.apply(&[LedgerEvent::FeedSet {
        feed: FEED,
        device: CAMERA,
        price: Wei::new(5),
        payout: OWNER,
        pauser: BOB,
        listing: Hash::ZERO,
    }]);
    assert_eq!(ids(index.feeds_of_pauser(BOB)), [FEED]);
    assert_eq!(ids(index.feeds_of_pauser(Address::ZERO)), [other]);
}

/// A listing document with a hash.
fn document(hash: u8) -> Arc<ListingDocument> {
    let text = format!(
        r#"{{"description":"","device":"{CAMERA}","name":"gate","privacy":"","streams":[{{"eventsPerMinute":60,"name":"detections"}}],"title":"Gate"}}"#
    );
    let listing = Listing::from_canonical_json(&text).unwrap();
    Arc::new(ListingDocument {
        hash: Hash::new([hash; 32]),
        text,
        listing,
    })
}

#[test]
fn a_document_is_shown_while_its_hash_is_the_ledgers() {
    let index = index();
    index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
    let mut changes = index.changes(FEED);
    index.set_document(FEED, document(2));
    assert!(changes.has_changed().unwrap());
    assert!(index.streams_are_hidden());
    index.apply(&[set(CAMERA, 5, 2)]);
    assert!(!index.streams_are_hidden());
    changes.mark_unchanged();
    index.replace(&index.snapshot());
    assert!(!changes.has_changed().unwrap(), "nothing differs");
    assert!(!index.streams_are_hidden(), "documents outlive a rebuild");
}

#[test]
fn a_document_is_shown_while_the_feeds_owner_may_sell() {
    let index = index();
    index.set_policy(RegistrationPolicy::Listed {
        owners: [OWNER].into(),
        devices: Default::default(),
    });
    index.apply(&[opened(FEED), set(CAMERA, 5, 2)]);
    index.set_document(FEED, document(2));
    assert!(!index.streams_are_hidden());
    let transfer = |from, to| {
        let feed = FEED;
        index.apply(&[LedgerEvent::FeedTransferred { feed, from, to }]);
    };
    transfer(OWNER, BOB);
    assert!(index.streams_are_hidden());
    assert_eq!(index.feed(FEED).unwrap().sold, Some(document(2)), "paid");
    index.apply(&[set(CAMERA, 5, 3)]);
    assert_eq!(index.feed(FEED).unwrap().sold, None, "not the ledger's");
    index.apply(&[set(CAMERA, 5, 2)]);
    transfer(BOB, OWNER);
    assert!(!index.streams_are_hidden());
    transfer(OWNER, BOB);
    index.set_policy(RegistrationPolicy::Listed {
        owners: Default::default(),
        devices: [CAMERA].into(),
    });
    assert!(!index.streams_are_hidden(), "whoever owns it");
}
