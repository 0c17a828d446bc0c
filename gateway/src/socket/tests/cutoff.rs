//! Many subscriptions that end at random seconds, on real websockets, with events right before and after each end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::LedgerEvent;
use ashya_protocol::ws::{EndReason, ServerMessage};
use ashya_protocol::{Address, FeedId, Listing, ListingStream, StreamName, Wei};
use futures_util::stream::{self, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::client::{Client, Heard};
use super::world::{OWNER, START, World};
use crate::hub::Moment;
use crate::hub::tests::{device_key, message};
use crate::ledger_index::ListingDocument;

/// Subscriptions of the short form.
const SUBSCRIPTIONS: usize = 400;
/// The feeds that each socket watches, each with streams of its own.
const FEEDS: [FeedId; 2] = [FeedId::new([0xa; 32]), FeedId::new([0xb; 32])];
/// Streams of each feed. Those who end in one second watch the same, so that events come densely to them alone.
const STREAMS: u64 = 16;
/// Subscriptions that end in one second, about.
const PER_SECOND: usize = 160;
/// Events come from so long before the end of each second until so long after it, in milliseconds.
const AROUND: (u64, u64) = (60, 20);
/// Time between two of them.
const PACE: Duration = Duration::from_millis(2);
/// Sockets that are opened at a time.
const AT_ONCE: usize = 50;
/// Longest time in which a socket hears nothing: until the first of its ends, and between the two.
const SILENCE: Duration = Duration::from_secs(120);
/// p99 of `ended` after the expiry that the design promises, and what a machine that is busy with other tests must keep.
const PROMISED: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(500);

/// One paid time.
#[derive(Debug, Clone)]
struct Paid {
    feed: FeedId,
    wallet: Address,
    expiry: u64,
}

/// What a socket has seen of its watches' ends.
#[derive(Debug, Default)]
struct Seen {
    events: u64,
    /// Events that the client read after the expiry, whenever they were written.
    read_late: u64,
    /// Time from each expiry to its `ended`.
    ends: Vec<Duration>,
    /// Whether the gateway gave the connection up.
    given_up: bool,
}

/// `ASHYA_SUBSCRIPTIONS` says how many, `ASHYA_SEED` which; with the first the promised times are held against them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_at_or_after_the_end_of_any_subscription() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>());
    let asked = number("ASHYA_SUBSCRIPTIONS").transpose().unwrap();
    let seed = number("ASHYA_SEED").transpose().unwrap();
    let seed = seed.unwrap_or_else(rand::random);
    let count = asked.map_or(SUBSCRIPTIONS, |count| usize::try_from(count).unwrap());
    let seconds = (count / PER_SECOND).max(2) as u64;
    let mut dice = StdRng::seed_from_u64(seed);

    let world = Arc::new(World::start().await);
    FEEDS.iter().for_each(|feed| open_feed(&world, *feed));
    let wallets: Vec<_> = (0..count / FEEDS.len()).map(wallet).collect();
    let pay = |paid: &Paid| LedgerEvent::SubscriptionSet {
        feed: paid.feed,
        beneficiary: paid.wallet,
        payer: paid.wallet,
        price: Wei::new(5),
        start: 0,
        expiry: paid.expiry - START,
    };
    let began = Instant::now();
    // Drawn before, so that each socket can name its streams; on what seconds they fall is known once all are open.
    let draws: Vec<[u64; 2]> = wallets
        .iter()
        .map(|_| [0; 2].map(|_: u64| dice.random_range(0..seconds)))
        .collect();
    let sockets: Vec<Client> = stream::iter(wallets.iter().zip(&draws))
        .map(|(wallet, draws)| asking(&world, *wallet, *draws))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let opened = began.elapsed();

    let first = world.parts.clock.now_seconds() + 4;
    let mut ends = JoinSet::new();
    for ((wallet, draws), socket) in wallets.iter().zip(&draws).zip(sockets) {
        let paid = [0, 1].map(|at| Paid {
            feed: FEEDS[at],
            wallet: *wallet,
            expiry: first + draws[at],
        });
        world.parts.index.apply(&paid.each_ref().map(pay));
        ends.spawn(read_to_the_end(world.clone(), socket, paid));
    }
    assert!(
        world.parts.clock.now_seconds() < first,
        "too slow a machine"
    );
    let publisher = publish_around(&world, first, seconds);
    let (mut seen, mut times) = (Seen::default(), Vec::with_capacity(count));
    let mut given_up = 0;
    while let Some(one) = ends.join_next().await {
        let one = one.unwrap();
        seen.events += one.events;
        seen.read_late += one.read_late;
        given_up += u64::from(one.given_up);
        times.extend(one.ends);
    }
    let published = publisher.await.unwrap();
    times.sort_unstable();
    let quantile = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let late = world.parts.metrics.late_writes.get();
    println!(
        "seed {seed}: {} subscriptions of {} wallets on as many websockets, opened in {opened:.1?}, ending within {seconds} s; \
         {published} events published around the ends, {} delivered; writes that ended at or after the expiry by the \
         gateway's clock: {late}; sockets that were given up: {given_up}; events read by the client at or after it: {}; `ended` after the expiry: p50 {:.1?}, \
         p99 {:.1?}, longest {:.1?}",
        times.len(),
        wallets.len(),
        seen.events,
        seen.read_late,
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    assert!(seen.events > times.len() as u64, "too few events came");
    if asked.is_some() {
        assert_eq!((late, given_up), (0, 0), "written too late, or not at all");
        assert_eq!(times.len(), wallets.len() * FEEDS.len());
        assert!(quantile(0.99) < PROMISED);
    } else {
        // Other tests may stop a thread within a write, or so long before it that the gateway gives the socket up.
        let few = wallets.len() as u64 / 20;
        assert!(late <= few && given_up <= few);
        assert!(quantile(0.99) < BUSY);
    }
}

/// A signed-in client that asks for both feeds, of each the stream of its second, and is told to pay.
async fn asking(world: &World, wallet: Address, draws: [u64; 2]) -> Client {
    let mut client = world.sign_in_with(wallet, Some("ashya.v1.json")).await;
    for (at, draw) in draws.into_iter().enumerate() {
        let (feed, stream) = (FEEDS[at], stream_of(at, draw));
        let text = format!(r#"{{"type":"watch","feed":"{feed}","streams":["{stream}"]}}"#);
        client.send(text).await;
        let message = client.message().await;
        assert!(
            matches!(message, ServerMessage::PaymentRequired(_)),
            "{message:?}"
        );
    }
    client
}

/// Reads until both watches have ended. No event may have been published at or after the end of its watch.
async fn read_to_the_end(world: Arc<World>, mut client: Client, paid: [Paid; 2]) -> Seen {
    let instants = paid.each_ref().map(|paid| world.instant_of(paid.expiry));
    let mut open: HashMap<_, _> = paid.iter().map(|paid| (paid.feed, paid.expiry)).collect();
    let mut seen = Seen::default();
    while !open.is_empty() {
        let heard = client.hear_or_end(SILENCE).await;
        let now = Instant::now();
        let Some(heard) = heard else {
            seen.given_up = true;
            return seen;
        };
        match heard {
            Heard::Message(ServerMessage::Event(event)) => {
                let at = usize::from(event.stream.as_str().starts_with('b'));
                let expiry = paid[at].expiry;
                assert!(open.contains_key(&paid[at].feed), "an event after its end");
                assert!(
                    event.seq.get() < (expiry - START) * 1_000,
                    "published at {} ms, paid until {expiry}",
                    event.seq
                );
                seen.events += 1;
                seen.read_late += u64::from(now >= instants[at]);
            }
            Heard::Message(ServerMessage::Ended { feed, reason }) => {
                assert_eq!(reason, EndReason::Expired);
                open.remove(&feed).expect("ended twice");
                let at = usize::from(feed == FEEDS[1]);
                assert!(now >= instants[at], "ended before its time");
                seen.ends.push(now - instants[at]);
            }
            Heard::Message(ServerMessage::Watching { .. } | ServerMessage::Notice { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    seen
}

/// Publishes around the end of each second, on the streams of those who end there. Events are numbered by the milliseconds
/// since the start.
fn publish_around(world: &Arc<World>, first: u64, seconds: u64) -> JoinHandle<u64> {
    let world = Arc::clone(world);
    tokio::task::spawn_blocking(move || {
        let mut published = 0;
        for draw in 0..seconds {
            let end = (first + draw - START) * 1_000;
            let wait = (end - AROUND.0).saturating_sub(world.milliseconds());
            std::thread::sleep(Duration::from_millis(wait));
            let mut last = 0;
            loop {
                let now = world.milliseconds();
                if now >= end + AROUND.1 {
                    break;
                }
                if now > last {
                    let moment = Moment {
                        at: START + now / 1_000,
                        feed_times: FEEDS.map(|feed| (feed, now / 1_000)).into(),
                        paused: Vec::new(),
                    };
                    for at in 0..FEEDS.len() {
                        let stream = stream_of(at, draw);
                        let event = message(stream.as_str(), 3, now, 10, moment.clone());
                        world.parts.hub.publish(&[Arc::new(event)], world.now());
                        published += 1;
                    }
                    last = now;
                }
                std::thread::sleep(PACE);
            }
        }
        published
    })
}

fn wallet(index: usize) -> Address {
    let mut bytes = [0xee; 20];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    Address::new(bytes)
}

/// The stream of a feed for those who end in a second.
fn stream_of(feed: usize, draw: u64) -> StreamName {
    let letter = ["a", "b"][feed];
    format!("{letter}{}", draw % STREAMS).parse().unwrap()
}

fn open_feed(world: &World, feed: FeedId) {
    let at = usize::from(feed == FEEDS[1]);
    let listing = Listing {
        description: String::new(),
        device: device_key().device_id(),
        name: "many".parse().unwrap(),
        outage_seconds: None,
        privacy: String::new(),
        streams: (0..STREAMS)
            .map(|draw| ListingStream {
                events_per_minute: 300,
                name: stream_of(at, draw),
            })
            .collect(),
        title: "Many".into(),
    };
    let text = listing.to_canonical_json().unwrap();
    let hash = Listing::hash_of(&text);
    world.parts.index.apply(&[
        LedgerEvent::FeedOpened {
            feed,
            device: listing.device,
            name: listing.name.clone(),
            owner: OWNER,
            base: START,
        },
        LedgerEvent::FeedSet {
            feed,
            device: listing.device,
            price: Wei::new(5),
            payout: OWNER,
            pauser: Address::ZERO,
            listing: hash,
        },
    ]);
    let document = ListingDocument {
        hash,
        text,
        listing,
    };
    world.parts.index.set_document(feed, Arc::new(document));
}
