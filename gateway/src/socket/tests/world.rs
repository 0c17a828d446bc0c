use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::rest::Head;
use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{Address, DeviceId, FeedId, Listing, ListingStream, Wei};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::super::{SocketParts, routes};
use super::client::Client;
use crate::auth::sessions::Sessions;
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::entrance::{Entrance, PlaceLimits, Places};
use crate::history::History;
use crate::hub::tests::{DOMAIN, device_key, message};
use crate::hub::{Hub, Moment, Now, RingLimits};
use crate::ledger_index::{LedgerIndex, ListingDocument};
use crate::metrics::Metrics;
use crate::positions::{Keep, Positions};
use crate::presence::{Door, Presence, Word};
use crate::retention::Retention;
use crate::server::http::{HttpLimits, serve};
use crate::sse;
use crate::store::Store;
use crate::stream::Gap;

pub(super) const OWNER: Address = Address::new([1; 20]);
pub(super) const ALICE: Address = Address::new([2; 20]);
pub(super) const BOB: Address = Address::new([3; 20]);
pub(super) const FEED: FeedId = FeedId::new([5; 32]);
pub(super) const SECOND_FEED: FeedId = FeedId::new([6; 32]);
/// Chain time at which everything begins, and both feeds are opened.
pub(super) const START: u64 = 1_800_000_000;
/// Longest wait for anything that has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets that a wallet may have open.
pub(super) const MAX_SOCKETS: usize = 64;

const SECRET: &[u8] = b"secret";

/// A server over an index with two feeds of one device that is online.
pub(super) struct World {
    pub(super) parts: SocketParts,
    pub(super) positions: Positions,
    _writer: Writer,
    pub(super) address: SocketAddr,
    started: Instant,
}

fn a_day() -> Retention {
    Retention {
        streams: ["detections".parse().unwrap()].into(),
        age: Duration::from_secs(24 * 3600),
        max_bytes: u64::MAX,
    }
}

/// Ends the thread that brings positions and history to the disk.
struct Writer(Positions);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl World {
    /// A world that keeps in memory only.
    pub(super) async fn start() -> Self {
        Self::start_keeping(Retention::default()).await
    }

    /// A world that keeps detections on disk for a day.
    pub(super) async fn with_history() -> Self {
        Self::start_keeping(a_day()).await
    }

    /// The same, with so many events of each stream in memory. Only for viewers without a connection.
    pub(super) async fn with_history_and_memory_of(events: usize) -> Self {
        let mut world = Self::with_history().await;
        let limits = RingLimits {
            events,
            ..RingLimits::default()
        };
        world.parts.hub = Hub::keeping(world.parts.metrics.clone(), limits);
        world
    }

    async fn start_keeping(retention: Retention) -> Self {
        let places = PlaceLimits {
            in_all: 20_000,
            ..PlaceLimits::default()
        };
        let places = Places::new(places, Default::default());
        Self::build(|listener| Entrance::plain(listener, places), retention).await
    }

    /// A world that is entered in another way.
    pub(super) async fn behind(entrance: impl FnOnce(TcpListener) -> Entrance) -> Self {
        Self::build(entrance, Retention::default()).await
    }

    async fn build(entrance: impl FnOnce(TcpListener) -> Entrance, retention: Retention) -> Self {
        let freshness = Freshness {
            max_silence: Duration::from_secs(60),
            max_head_age: None,
        };
        let metrics = Metrics::new();
        let store = Store::temporary();
        let positions = Positions::load(store.clone()).unwrap();
        let positions = positions.keeping(retention);
        let writer = positions.clone();
        std::thread::spawn(move || writer.keep_writing());
        let parts = SocketParts {
            sessions: Sessions::for_tests(SECRET, Duration::from_secs(3600)),
            index: LedgerIndex::new(DOMAIN),
            clock: ChainClock::new(ClockSource::Head, freshness),
            hub: Hub::new(metrics.clone()),
            history: History::new(store, positions.clone()),
            presence: Presence::new(),
            metrics,
            policy: Default::default(),
            shutdown: Default::default(),
            tasks: Default::default(),
        };
        let device = device_key().device_id();
        parts.presence.set(Door::Broker, device, Word::Online);
        open_feed(&parts.index, FEED);
        open_feed(&parts.index, SECOND_FEED);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = routes(parts.clone()).merge(sse::routes(parts.clone()));
        let limits = HttpLimits {
            head_timeout: PATIENCE,
            // Sockets and event streams have a patience of their own: with this one they would not get far.
            write_timeout: Duration::from_millis(1),
        };
        let ends = CancellationToken::new().into();
        tokio::spawn(serve(entrance(listener), routes, limits, ends));
        let started = Instant::now();
        let head = Head {
            number: 1,
            timestamp: START,
        };
        parts.clock.saw(head, started).unwrap();
        Self {
            parts,
            _writer: Writer(positions.clone()),
            positions,
            address,
            started,
        }
    }

    /// Moves chain time to so many seconds after the start.
    pub(super) fn jump(&self, seconds: u64) {
        let head = Head {
            number: 2,
            timestamp: START + seconds,
        };
        self.parts.clock.saw(head, Instant::now()).unwrap();
    }

    /// A subscription from the start until a Unix second.
    pub(super) fn subscribe(&self, feed: FeedId, wallet: Address, until: u64) {
        self.subscribe_from(feed, wallet, START, until);
    }

    pub(super) fn subscribe_from(&self, feed: FeedId, wallet: Address, from: u64, until: u64) {
        self.parts.index.apply(&[LedgerEvent::SubscriptionSet {
            feed,
            beneficiary: wallet,
            payer: wallet,
            price: Wei::new(5),
            start: from - START,
            expiry: until - START,
        }]);
    }

    /// A cancel sets the expiry to now.
    pub(super) fn cancel(&self, feed: FeedId, wallet: Address) {
        let clock = self.parts.index.feed(feed).unwrap().clock;
        let now = clock.feed_time(self.parts.clock.now_seconds());
        self.subscribe(feed, wallet, START + now);
    }

    /// Gives the first feed to another owner.
    pub(super) fn transfer(&self, to: Address) {
        let from = self.parts.index.feed(FEED).unwrap().owner;
        let feed = FEED;
        self.parts
            .index
            .apply(&[LedgerEvent::FeedTransferred { feed, from, to }]);
    }

    /// Gives the first feed another device.
    pub(super) fn replace_device(&self) {
        let view = self.parts.index.feed(FEED).unwrap();
        self.parts.index.apply(&[LedgerEvent::FeedSet {
            feed: FEED,
            device: DeviceId::new([7; 20]),
            price: view.price,
            payout: OWNER,
            pauser: Address::ZERO,
            listing: view.listing,
        }]);
    }

    /// Milliseconds of chain time since the start.
    pub(super) fn milliseconds(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// When chain time is a Unix second, as long as nobody moves it.
    pub(super) fn instant_of(&self, unix: u64) -> Instant {
        self.started + Duration::from_secs(unix - START)
    }

    /// Waits until as many sockets and event streams are open.
    pub(super) async fn until_open(&self, sockets: i64, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.parts.metrics.sockets.get() != sockets {
            assert!(Instant::now() < deadline, "never {sockets} sockets");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Publishes more than the kernel's buffers take, in pictures, of which a reader who stands still gets some.
    pub(super) async fn publish_flood(&self, pictures: u64) {
        for seq in 0..pictures {
            self.publish_sized("frames", seq, 200_000);
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Opens an event stream over a bare connection.
    pub(super) async fn event_stream(&self, wallet: Address, feed: FeedId) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let token = self.parts.sessions.issue(wallet).token;
        let head = format!(
            "GET /v1/feeds/{feed}/events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Takes up an event stream after an event, and reads until another has come.
    pub(super) async fn event_stream_after(
        &self,
        wallet: Address,
        feed: FeedId,
        after: &str,
        until: &str,
    ) -> String {
        let token = self.parts.sessions.issue(wallet).token;
        let request = http::Request::get(format!("/v1/feeds/{feed}/events"))
            .header("authorization", format!("Bearer {token}"))
            .header("last-event-id", after)
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = sse::routes(self.parts.clone())
            .oneshot(request)
            .await
            .unwrap();
        let mut body = answer.into_body();
        let (mut text, end) = (String::new(), format!("id: {until}\n"));
        while !text.contains(&end) {
            let frame = timeout(PATIENCE, body.frame()).await.expect("nothing came");
            let data = frame.expect("the end").unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&data).unwrap());
        }
        text
    }

    /// Stops the clock of the first feed.
    pub(super) fn pause(&self, at: u64) {
        self.set_clock(Some(at), 0);
    }

    /// The same, after so many seconds of pauses.
    pub(super) fn pause_after(&self, at: u64, paused_total: u64) {
        self.set_clock(Some(at), paused_total);
    }

    /// Lets it run on after so many seconds of pauses.
    pub(super) fn resume(&self, paused_total: u64) {
        self.set_clock(None, paused_total);
    }

    fn set_clock(&self, paused_at: Option<u64>, paused_total: u64) {
        self.set_clock_of(FEED, paused_at, paused_total);
    }

    /// What the ledger says of a feed's clock.
    pub(super) fn set_clock_of(&self, feed: FeedId, paused_at: Option<u64>, paused_total: u64) {
        self.parts.index.apply(&[LedgerEvent::FeedClock {
            feed,
            clock: ClockChange {
                paused_at,
                paused_total,
                paused_by: paused_at.map(|_| OWNER),
                retires_at: None,
            },
        }]);
    }

    /// Publishes a small event of boot 3 while the feeds' clocks run, and gives back its envelope.
    pub(super) fn publish(&self, stream: &str, seq: u64) -> Bytes {
        self.publish_with(stream, seq, 10, self.running())
    }

    pub(super) fn publish_sized(&self, stream: &str, seq: u64, bytes: usize) {
        self.publish_with(stream, seq, bytes, self.running());
    }

    /// Publishes an event while the first feed's clock stands still.
    pub(super) fn publish_held(&self, stream: &str, seq: u64) {
        let mut moment = self.running();
        moment.feed_times.retain(|(feed, _)| *feed != FEED);
        moment.paused.push(FEED);
        self.publish_with(stream, seq, 10, moment);
    }

    /// Publishes an event that was accepted at a feed time of both feeds.
    pub(super) fn publish_at(&self, stream: &str, seq: u64, feed_time: u64) {
        let moment = Moment {
            at: START + feed_time,
            feed_times: vec![(FEED, feed_time), (SECOND_FEED, feed_time)],
            paused: Vec::new(),
        };
        self.publish_with(stream, seq, 10, moment);
    }

    /// Publishes an event each millisecond, numbered by the milliseconds since the start, until `extra` after a Unix
    /// second.
    pub(super) fn publish_milliseconds_until(&self, unix: u64, extra: Duration) -> JoinHandle<()> {
        let (hub, started, now_of) = (self.parts.hub.clone(), self.started, self.now());
        let moment = self.running();
        let end = Duration::from_secs(unix - START) + extra;
        tokio::task::spawn_blocking(move || {
            let mut last = 0;
            while started.elapsed() < end {
                let now = started.elapsed().as_millis() as u64;
                if now > last {
                    let message = message("detections", 3, now, 10, moment.clone());
                    hub.publish(&[Arc::new(message)], &now_of);
                    last = now;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        })
    }

    /// Publishes an event before which numbers are missing that never reached the gateway.
    pub(super) fn publish_after_loss(&self, (from, to): (u64, u64), stream: &str, seq: u64) {
        let [from, to] = [from, to].map(|seq| seq.try_into().unwrap());
        let message = message(stream, 3, seq, 10, self.running()).after(Gap { from, to });
        self.parts.hub.publish(&[Arc::new(message)], self.now());
    }

    /// Publishes an event of so many bytes that was accepted at a moment.
    pub(super) fn publish_with(
        &self,
        stream: &str,
        seq: u64,
        bytes: usize,
        moment: Moment,
    ) -> Bytes {
        let message = message(stream, 3, seq, bytes, moment);
        let envelope = message.envelope();
        let stream = &message.key().stream;
        if self.positions.kept().keeps(stream) {
            let moment = message.moment();
            let keep = Keep {
                at: moment.at,
                feeds: vec![FEED, SECOND_FEED],
                envelope: envelope.clone(),
                room: None,
            };
            let (device, position) = (message.key().device, message.position());
            let taken = self.positions.accept(device, stream, position, Some(keep));
            taken.unwrap();
        }
        self.parts.hub.publish(&[Arc::new(message)], self.now());
        envelope
    }

    /// Forgets what is in memory, as a restart does. Only for viewers without a connection.
    pub(super) async fn forget_memory(&mut self) {
        assert!(self.positions.settled().await);
        self.parts.hub = Hub::new(self.parts.metrics.clone());
        self.parts.hub.remember(self.positions.all());
    }

    pub(super) fn now(&self) -> impl Fn() -> Now + Send + 'static {
        let (clock, index) = (self.parts.clock.clone(), self.parts.index.clone());
        move || Now {
            clock: clock.read(),
            ledger: index.version(),
        }
    }

    fn running(&self) -> Moment {
        let now = self.parts.clock.now_seconds() - START;
        Moment {
            at: START + now,
            feed_times: vec![(FEED, now), (SECOND_FEED, now)],
            paused: Vec::new(),
        }
    }

    pub(super) async fn connect(&self, subprotocol: Option<&str>) -> Result<Client, String> {
        Client::connect(self.address, subprotocol).await
    }

    pub(super) async fn sign_in(&self, wallet: Address) -> Client {
        self.sign_in_with(wallet, None).await
    }

    pub(super) async fn sign_in_with(&self, wallet: Address, subprotocol: Option<&str>) -> Client {
        let mut client = self.connect(subprotocol).await.unwrap();
        client.authenticate(&self.parts.sessions, wallet).await;
        client
    }

    pub(super) async fn sign_in_for(&self, wallet: Address, lifetime: Duration) -> Client {
        let mut client = self.connect(None).await.unwrap();
        client
            .authenticate(&Sessions::for_tests(SECRET, lifetime), wallet)
            .await;
        client
    }

    /// A client that watches a feed already.
    pub(super) async fn watching(&self, wallet: Address, feed: FeedId) -> Client {
        let mut client = self.sign_in(wallet).await;
        client.watch(feed).await;
        let message = client.message().await;
        assert!(
            matches!(message, ServerMessage::Watching { .. }),
            "{message:?}"
        );
        client
    }
}

/// Opens a feed with both streams for 5 wei a second.
fn open_feed(index: &LedgerIndex, feed: FeedId) {
    let device = device_key().device_id();
    let listing = Listing {
        description: String::new(),
        device,
        name: "gate".parse().unwrap(),
        outage_seconds: None,
        privacy: String::new(),
        streams: ["detections", "frames"]
            .map(|name| ListingStream {
                events_per_minute: 300,
                name: name.parse().unwrap(),
            })
            .into(),
        title: "Gate".into(),
    };
    let text = listing.to_canonical_json().unwrap();
    let hash = Listing::hash_of(&text);
    index.apply(&[
        LedgerEvent::FeedOpened {
            feed,
            device,
            name: listing.name.clone(),
            owner: OWNER,
            base: START,
        },
        LedgerEvent::FeedSet {
            feed,
            device,
            price: Wei::new(5),
            payout: OWNER,
            pauser: Address::ZERO,
            listing: hash,
        },
    ]);
    index.set_document(
        feed,
        Arc::new(ListingDocument {
            hash,
            text,
            listing,
        }),
    );
}
