mod events;
mod ledger;

use std::net::SocketAddr;
use std::time::Duration;

use ashya_protocol::rest::Head;
use ashya_protocol::ws::ServerMessage;
use ashya_protocol::{Address, FeedId};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::super::{SocketParts, routes};
use super::client::Client;
use crate::auth::sessions::Sessions;
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::entrance::{Entrance, PlaceLimits, Places};
use crate::history::History;
use crate::hub::tests::{DOMAIN, device_key};
use crate::hub::{Hub, Now, RingLimits};
use crate::ledger_index::LedgerIndex;
use crate::metrics::Metrics;
use crate::positions::Positions;
use crate::presence::{Door, Presence, Word};
use crate::retention::Retention;
use crate::server::http::{HttpLimits, serve};
use crate::sse;
use crate::store::Store;
use ledger::open_feed;

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

    /// Opens an event stream over a bare connection.
    pub(super) async fn event_stream(&self, wallet: Address, feed: FeedId) -> TcpStream {
        let token = self.parts.sessions.issue(wallet).token;
        self.event_stream_by(&token, feed).await
    }

    pub(super) async fn event_stream_by(&self, token: &str, feed: FeedId) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
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

    pub(super) fn now(&self) -> impl Fn() -> Now + Send + 'static {
        let (clock, index) = (self.parts.clock.clone(), self.parts.index.clone());
        move || Now {
            clock: clock.read(),
            ledger: index.version(),
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
