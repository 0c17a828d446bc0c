use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::time::Duration;

use ashya_protocol::{Address, DeviceKey, FeedId, Hash, Wei};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use url::Url;

use super::anvil::{Chain, LISTING, PRICE, payout, wallet};
use crate::transaction::hand_over;
use crate::{ChainError, ClockChange, Ledger, LedgerEvent, Progress, Rpc, SubscribeTerms};

const GWEI: u64 = 1_000_000_000;

fn terms(feed: FeedId, beneficiary: Address, duration: u64) -> SubscribeTerms {
    SubscribeTerms {
        feed,
        beneficiary,
        duration,
        max_price: PRICE,
        listing: LISTING,
        price: PRICE,
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ChainError>) -> String {
    match result {
        Err(ChainError::Refused(refusal)) => refusal.to_string(),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test]
async fn a_feed_from_opening_to_payout() {
    let chain = Chain::start().await;
    let (ledger, alice, provider) = (&chain.ledger, &chain.alice, &chain.provider);
    let feed = chain.open_feed().await;
    assert_eq!(
        feed,
        FeedId::derive(chain.device.device_id(), &"front door".parse().unwrap())
    );
    let record = ledger.feed(feed).await.unwrap().unwrap();
    assert_eq!(record.device, chain.device.device_id());
    assert_eq!(record.name.as_str(), "front door");
    assert_eq!(
        (record.owner, record.payout),
        (provider.address(), payout())
    );
    assert_eq!((record.price, record.listing), (PRICE, LISTING));
    assert_eq!(
        (record.pauser, record.pending_owner),
        (wallet(2).address(), None)
    );

    let bought = ledger
        .subscribe(alice, terms(feed, alice.address(), 7200))
        .await
        .unwrap();
    let held = ledger
        .subscription(feed, alice.address(), alice.address())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (held.price, held.expiry, held.expiry - held.start),
        (PRICE, bought.expiry, 7200)
    );
    let extended = ledger
        .extend(alice, feed, alice.address(), 3600)
        .await
        .unwrap();
    assert_eq!(extended.expiry, bought.expiry + 3600);

    chain.wait(3600).await;
    let due = ledger.withdrawable(feed).await.unwrap();
    let withdrawn = ledger.withdraw(provider, feed, 100).await.unwrap();
    assert!(withdrawn.paid > Wei::default());
    assert_eq!(withdrawn.paid, due);
    assert_eq!(chain.rpc.balance(payout()).await.unwrap(), due);
    assert_eq!(
        ledger.withdraw(provider, feed, 100).await.unwrap().paid,
        Wei::default()
    );

    let to = Address::new([0xbb; 20]);
    let cancelled = ledger
        .cancel(alice, feed, alice.address(), to)
        .await
        .unwrap();
    assert_eq!(chain.rpc.balance(to).await.unwrap(), cancelled.refund);
    let ended = ledger
        .subscription(feed, alice.address(), alice.address())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        cancelled.refund,
        PRICE.checked_mul(extended.expiry - ended.expiry).unwrap()
    );
    ledger.settle(alice, feed, 100).await.unwrap();
    let rest = ledger.withdraw(provider, feed, 100).await.unwrap().paid;
    assert_eq!(
        rest.get() + due.get(),
        PRICE.checked_mul(ended.expiry - ended.start).unwrap().get()
    );
    assert_eq!(
        chain.rpc.balance(ledger.address()).await.unwrap(),
        Wei::default()
    );
}

#[tokio::test]
async fn the_clock_and_the_setters() {
    let chain = Chain::start().await;
    let (ledger, provider) = (&chain.ledger, &chain.provider);
    let feed = chain.open_feed().await;
    let pauser = wallet(2);
    ledger.pause(&pauser, feed).await.unwrap();
    let clock = ledger.clock(feed).await.unwrap();
    assert_eq!(clock.paused_by, Some(pauser.address()));
    let paused_at = clock.paused_at.unwrap();
    assert_eq!(clock.wall_time(60), None);
    chain.wait(500).await;
    ledger.resume(provider, feed).await.unwrap();
    let clock = ledger.clock(feed).await.unwrap();
    assert!(clock.paused_total >= 500);
    assert_eq!(
        clock.feed_time(paused_at + clock.paused_total),
        paused_at - clock.base
    );

    ledger.set_price(provider, feed, Wei::new(5)).await.unwrap();
    ledger
        .set_payout(provider, feed, pauser.address())
        .await
        .unwrap();
    ledger
        .set_pauser(provider, feed, Address::ZERO)
        .await
        .unwrap();
    ledger
        .set_listing(provider, feed, Hash::ZERO)
        .await
        .unwrap();
    let replacement = DeviceKey::from_bytes([8; 32]).unwrap();
    let authorization = chain.authorization(&replacement, provider.address());
    ledger
        .set_device(provider, feed, &authorization)
        .await
        .unwrap();
    let record = ledger.feed(feed).await.unwrap().unwrap();
    assert_eq!(
        (record.price, record.payout),
        (Wei::new(5), pauser.address())
    );
    assert_eq!((record.pauser, record.listing), (Address::ZERO, Hash::ZERO));
    assert_eq!(record.device, replacement.device_id());

    ledger
        .transfer_feed(provider, feed, pauser.address())
        .await
        .unwrap();
    assert_eq!(
        ledger.feed(feed).await.unwrap().unwrap().pending_owner,
        Some(pauser.address())
    );
    ledger.accept_feed(&pauser, feed).await.unwrap();
    assert_eq!(
        ledger.feed(feed).await.unwrap().unwrap().owner,
        pauser.address()
    );
    ledger.retire(&pauser, feed).await.unwrap();
    assert_eq!(ledger.clock(feed).await.unwrap().retires_at, Some(3600));
}

#[tokio::test]
async fn refusals_carry_their_reason_and_cost_nothing() {
    let chain = Chain::start().await;
    let (ledger, alice) = (&chain.ledger, &chain.alice);
    let feed = chain.open_feed().await;
    let before = chain.rpc.balance(alice.address()).await.unwrap();
    let good = terms(feed, alice.address(), 60);
    for (terms, expected) in [
        (
            SubscribeTerms {
                max_price: Wei::new(7),
                ..good
            },
            "PriceAboveMax(price: 1000003, maxPrice: 7)",
        ),
        (
            SubscribeTerms {
                duration: 59,
                ..good
            },
            "DurationOutOfBounds(duration: 59, minimum: 60, maximum: 31622400)",
        ),
        (
            SubscribeTerms {
                price: Wei::new(1),
                ..good
            },
            "WrongPayment(sent: 60, expected: 60000180)",
        ),
    ] {
        assert_eq!(refusal(ledger.subscribe(alice, terms).await), expected);
    }
    let unknown = FeedId::new([1; 32]);
    assert_eq!(
        refusal(ledger.pause(alice, unknown).await),
        format!("FeedUnknown(feed: {unknown})")
    );
    assert_eq!(
        refusal(ledger.clock(unknown).await),
        format!("FeedUnknown(feed: {unknown})")
    );
    assert_eq!(ledger.feed(unknown).await.unwrap(), None);
    let (caller, expected) = (alice.address(), chain.provider.address());
    assert_eq!(
        refusal(ledger.pause(alice, feed).await),
        format!("Unauthorized(caller: {caller}, expected: {expected})")
    );
    assert!(
        refusal(ledger.extend(alice, feed, caller, 60).await).starts_with("SubscriptionNotLive(")
    );
    assert_eq!(
        ledger.subscription(feed, caller, caller).await.unwrap(),
        None
    );
    assert_eq!(chain.rpc.balance(caller).await.unwrap(), before);
}

#[tokio::test]
async fn events_tell_the_whole_story_in_order() {
    let chain = Chain::start().await;
    let (ledger, alice, provider) = (&chain.ledger, &chain.alice, &chain.provider);
    let feed = chain.open_feed().await;
    let opened = chain.rpc.latest().await.unwrap();
    let bought = ledger
        .subscribe(alice, terms(feed, payout(), 3600))
        .await
        .unwrap();
    ledger.pause(provider, feed).await.unwrap();
    ledger
        .transfer_feed(provider, feed, alice.address())
        .await
        .unwrap();
    let latest = chain.rpc.latest().await.unwrap();
    let events = ledger.events(0, latest.number).await.unwrap();
    let told: Vec<&LedgerEvent> = events.iter().map(|logged| &logged.event).collect();
    let [
        LedgerEvent::FeedOpened {
            feed: id,
            name,
            base,
            ..
        },
        LedgerEvent::FeedSet {
            price: PRICE,
            listing: LISTING,
            ..
        },
        LedgerEvent::SubscriptionSet {
            beneficiary,
            payer,
            price: PRICE,
            start,
            expiry,
            ..
        },
        LedgerEvent::FeedClock {
            clock:
                ClockChange {
                    paused_at: Some(paused_at),
                    retires_at: None,
                    ..
                },
            ..
        },
    ] = told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (*id, name.as_str(), *base),
        (feed, "front door", opened.timestamp)
    );
    assert_eq!((*beneficiary, *payer), (payout(), alice.address()));
    assert_eq!((*expiry, *expiry - *start), (bought.expiry, 3600));
    assert!(*paused_at >= *base);
    assert_eq!(events[0].block, opened.number);
    assert_eq!(events[0].block_hash, opened.hash);
    assert_eq!((events[0].log_index, events[1].log_index), (0, 1));
    assert_eq!(
        ledger
            .events(opened.number + 1, opened.number + 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        ledger
            .events(latest.number + 1, latest.number + 9)
            .await
            .unwrap_or_default(),
        []
    );
}

#[tokio::test]
async fn heads_are_linked_and_finality_follows() {
    let chain = Chain::start().await;
    chain.mine(5).await;
    let latest = chain.rpc.latest().await.unwrap();
    let parent = chain.rpc.block(latest.number - 1).await.unwrap().unwrap();
    assert_eq!(latest.parent, parent.hash);
    assert!(latest.timestamp >= parent.timestamp);
    assert_eq!(
        chain.rpc.finalized().await.unwrap().number,
        latest.number - 2
    );
    assert_eq!(chain.rpc.block(latest.number + 100).await.unwrap(), None);
}

#[tokio::test]
async fn one_wallet_sends_many_at_once() {
    let chain = Chain::start().await;
    let feed = chain.open_feed().await;
    let buy = |index: u8| {
        let (ledger, alice) = (chain.ledger.clone(), chain.alice.clone());
        async move {
            let terms = terms(feed, Address::new([index; 20]), 3600);
            ledger
                .subscribe(&alice, terms)
                .await
                .map(|bought| bought.receipt)
        }
    };
    let (a, b, c, d) = tokio::join!(buy(1), buy(2), buy(3), buy(4));
    for result in [a, b, c, d] {
        assert!(result.unwrap().gas_used > 21_000);
    }
}

#[tokio::test]
async fn who_offers_its_limit_is_mined_though_the_base_fee_has_risen() {
    let chain = Chain::start().await;
    let (ledger, feed) = (&chain.ledger, chain.open_feed().await);
    let limit = Wei::new(u128::from(50 * GWEI));
    let pauser = wallet(2)
        .with_max_fee(limit)
        .offering_its_limit(NonZeroUsize::MIN);
    chain.mine_on_demand().await;
    let rise = async {
        while ledger.unmined(pauser.address()).await.unwrap() != (0..1) {
            sleep(Duration::from_millis(20)).await;
        }
        chain.set_base_fee(40 * GWEI).await;
        chain.mine(1).await;
    };
    let rise = timeout(Duration::from_secs(30), rise);
    let (paused, risen) = tokio::join!(ledger.pause(&pauser, feed), rise);
    risen.unwrap();
    let receipt = paused.unwrap();
    let price = receipt.fee.get() / u128::from(receipt.gas_used);
    // Base fee and tip are paid, and not what was offered.
    assert!(
        (u128::from(40 * GWEI)..limit.get()).contains(&price),
        "{price}"
    );
    assert_eq!(ledger.unmined(pauser.address()).await.unwrap(), 1..1);
}

thread_local! {
    static TOLD: RefCell<Vec<Progress>> = const { RefCell::new(Vec::new()) };
}

#[tokio::test]
async fn what_a_node_refuses_was_not_sent_unless_the_node_has_it_already() {
    let chain = Chain::start().await;
    let (ledger, feed) = (&chain.ledger, chain.open_feed().await);
    let note = |progress: &Progress| TOLD.with_borrow_mut(|told| told.push(*progress));
    let alice = chain.alice.clone().with_watcher(note);
    // Both get the same number, since neither is sent before the other is signed.
    let mut signed = Vec::new();
    for index in [1, 2] {
        let terms = terms(feed, Address::new([index; 20]), 3600);
        let draft = ledger.draft_subscribe(&alice, terms).await.unwrap();
        signed.push(ledger.sign(&alice, draft, 0).await.unwrap());
    }
    for _ in 0..2 {
        hand_over(&chain.rpc, &alice, &signed[0]).await.unwrap();
    }
    assert_eq!(TOLD.take(), []);
    let outcome = hand_over(&chain.rpc, &alice, &signed[1]).await;
    assert!(
        matches!(outcome, Err(ChainError::Rpc { .. })),
        "{outcome:?}"
    );
    assert_eq!(TOLD.take(), [Progress::Refused]);
}

#[tokio::test]
async fn an_empty_address_is_no_ledger() {
    let chain = Chain::start().await;
    let result = Ledger::connect(chain.rpc.clone(), payout()).await;
    assert!(
        matches!(
            result,
            Err(ChainError::NoContract {
                chain_id: 31_337,
                ..
            })
        ),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_node_that_is_gone_is_a_transport_error() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let rpc = Rpc::new(&format!("http://127.0.0.1:{port}").parse().unwrap()).unwrap();
    assert!(matches!(
        rpc.chain_id().await,
        Err(ChainError::Transport(_))
    ));
    let scheme = Rpc::new(&Url::parse("ftp://127.0.0.1:1").unwrap());
    assert!(matches!(scheme, Err(ChainError::Scheme(_))));
}
