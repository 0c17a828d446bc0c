//! Defaults and fixed limits, each with its unit and its reason. What is by default a word, a path or a node's address
//! stands where it is read, in `config/`.

use std::time::Duration;

/// How far a head may be ahead of the wall clock and still be believed. Chains allow their validators 15 s.
pub(crate) const HEAD_TOLERANCE: Duration = Duration::from_secs(60);

/// A head that shows up to this much less than the running clock is only late, not a step back.
pub(crate) const HEAD_BACKWARD_TOLERANCE: Duration = Duration::from_secs(5);

/// A jump of the clock larger than this makes timers look at it again.
pub(crate) const CLOCK_STEP: Duration = Duration::from_millis(20);

/// Longest silence of the node before nobody's access can be told.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Oldest head of a public chain before the node counts as behind: 25 slots of Ethereum.
pub(crate) const MAX_HEAD_AGE: Duration = Duration::from_secs(300);

/// Chain id of local test chains, which make a block only when there is a transaction.
pub(crate) const LOCAL_CHAIN_ID: u64 = 31_337;

/// Time between looks at the head of a local chain, for what a question for the height does not tell: another block of
/// the same height.
pub(crate) const LOCAL_POLL: Duration = Duration::from_millis(250);

/// Longest time between looks at the head of a public chain; Ethereum makes a block each 12 s.
pub(crate) const PUBLIC_POLL: Duration = Duration::from_secs(2);

/// Shortest time between looks at the head of a public chain: providers count requests.
pub(crate) const FASTEST_POLL: Duration = Duration::from_millis(250);

/// Time between questions for the height of a node that is near: a payment acts within 100 ms of its block, and three
/// requests follow. A question costs the gateway 0.2 ms.
pub(crate) const PEEK: Duration = Duration::from_millis(40);

/// How long a nonce may be used. People read what they sign.
pub(crate) const NONCE_LIFETIME: Duration = Duration::from_secs(600);

/// Most used nonces that are remembered, about 10 MB; beyond, sign-ins are refused until some have run out. As many again
/// are remembered for registered devices, whom nobody who signs in may lock out.
pub(crate) const MAX_USED_NONCES: usize = 100_000;

/// How long a wallet's session lasts.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long a device's MQTT password lasts, and with it the connection.
pub(crate) const DEVICE_PASSWORD_LIFETIME: Duration = Duration::from_secs(3600);

/// Clocks of wallets may differ from ours by this much.
pub(crate) const SIWE_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Least time between two batches of accepted events on their way to the disk: each costs as much as delivering an event
/// to hundreds of sockets, and a device does not mind that its acknowledgement comes this much later.
pub(crate) const BATCH_SPACING: Duration = Duration::from_millis(20);

/// Most devices that register, about 40 MB of the longest documents; as many as the broker takes connections.
pub(crate) const MAX_DEVICES: usize = 10_000;

/// Time for a request's head to come, and longest silence of an open connection between two requests.
pub(crate) const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Most open HTTP connections, websockets included: a few kB each, and a file descriptor.
pub(crate) const MAX_HTTP_CONNECTIONS: usize = 16_384;

/// Time in which a client takes nothing of an ordinary answer before it is given up.
pub(crate) const HTTP_WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a client's part of the TLS handshake: a few round trips by satellite.
pub(crate) const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time before its end from which a certificate should have been renewed: half of what Let's Encrypt's clients leave.
pub(crate) const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// Most connections from one IPv4 address or /64 of IPv6, of this machine's own and of trusted proxies aside. A large
/// site behind one address has fewer cameras and viewers.
pub(crate) const CONNECTIONS_PER_ADDRESS: usize = 1_024;

/// Messages that one device may publish in a second: 30 pictures a second and what was seen in them need 60, and what
/// waited while a device was cut off should arrive soon. Each costs some 50 µs of a core.
pub(crate) const MQTT_MESSAGES_PER_SECOND: u32 = 2_000;

/// Bytes that one device may publish in a second: 30 pictures of a MB each.
pub(crate) const MQTT_BYTES_PER_SECOND: u32 = 32 * 1024 * 1024;

/// Time in which each node must say on which chain it is, at the start; one that is silent is asked again later.
pub(crate) const CHAIN_ID_PATIENCE: Duration = Duration::from_secs(3);

/// Most MQTT connections at a time, those that have not logged in yet included.
pub(crate) const MAX_MQTT_CONNECTIONS: usize = 10_000;

/// Port for REST, websocket and page.
pub(crate) const HTTP_PORT: u16 = 8080;

/// Port of the MQTT broker, as IANA assigns it.
pub(crate) const MQTT_PORT: u16 = 1883;

/// Port for metrics.
pub(crate) const METRICS_PORT: u16 = 9090;

/// Longest time to the head of an answer: a little more than a node may take to check a signature.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Most blocks in one request for logs; public nodes refuse more than a few thousand.
pub(crate) const BLOCKS_PER_REQUEST: u64 = 1_000;

/// Most blocks that a reorganisation may take back without a replay from the deployment: 13 hours of Ethereum, where
/// blocks are final after 13 minutes.
pub(crate) const JOURNAL_BLOCKS: usize = 4_096;

/// Shortest wait after a failed round of the chain follower.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(250);

/// Longest wait after a failed round: a node that is back is noticed within it.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// How long a listing waits for the chain follower to see the transaction that names it.
pub(crate) const LISTING_PATIENCE: Duration = Duration::from_secs(3);

/// Connections of one listener that may wait in the kernel before they are accepted.
pub(crate) const LISTEN_BACKLOG: u32 = 4_096;

/// How long open requests and sockets get to end when the gateway stops.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// The last part of it, for what is left when sockets and devices are gone, or do not go.
pub(crate) const DRAIN_RESERVE: Duration = Duration::from_secs(2);

/// Files that may be open beside connections: store, logs, nodes and a margin.
pub(crate) const SPARE_FILES: u64 = 256;

/// Most connections to the metrics: a few scrapers.
pub(crate) const MAX_METRICS_CONNECTIONS: usize = 64;

/// Most sessions of one wallet that are good at a time; one more ends the oldest. People have a few browsers.
pub(crate) const MAX_SESSIONS_PER_WALLET: usize = 256;

/// Most sessions that are listed, about 50 MB; one more takes the oldest off the list, though it stays good.
pub(crate) const MAX_SESSIONS: usize = 200_000;

/// Most sockets and event streams that one wallet may have open, about 5 MB.
pub(crate) const SOCKETS_PER_WALLET: usize = 1_024;

/// Most networks or addresses that a rate limit tells apart, about 20 MB; more share one allowance.
pub(crate) const MAX_RATE_KEYS: usize = 100_000;

/// Nonces that one network may ask for in a minute. Many people share an address behind a carrier's NAT.
pub(crate) const NONCES_PER_MINUTE: u32 = 600;

/// Sign-ins that one network may try in a minute; each costs the node a call.
pub(crate) const SESSIONS_PER_MINUTE: u32 = 300;

/// Registrations that one network may send in a minute: a site with so many cameras starts at once.
pub(crate) const REGISTRATIONS_PER_MINUTE: u32 = 60;

/// MQTT passwords that one network may ask for in a minute.
pub(crate) const CREDENTIALS_PER_MINUTE: u32 = 300;

/// Sign-ins of one wallet, or MQTT passwords of one device, in a minute.
pub(crate) const PER_ADDRESS_PER_MINUTE: u32 = 60;

/// Time in which a registered device has to come or to be sold before it may make room for another.
pub(crate) const CLAIM_GRACE: Duration = Duration::from_secs(600);

/// Minutes between two exports of the store: what a damaged store may lose of registrations and positions.
pub(crate) const EXPORT_MINUTES: u64 = 15;

/// Most gwei for a unit of gas of an outage's pause: far above a usual day, below a mania. All of it is offered, so that
/// no pause is left behind when fees rise; the base fee and the tip are paid.
pub(crate) const OUTAGE_MAX_FEE_GWEI: u64 = 50;

/// Most thousandths of an ETH a day for outages' pauses with their resumes: some 20 at the highest fee, some 1,000 at a
/// gwei. At once 15 and 23 feeds can stand paused, since the highest fee is set aside for each one's resume.
pub(crate) const OUTAGE_MILLIETHER_PER_DAY: u64 = 100;

/// Most pauses of one feed in a day, so that a flapping device does not use up what is there for all: a quarter of it
/// at most.
pub(crate) const OUTAGE_PAUSES_PER_FEED: u32 = 3;

/// Longest time for which history may be kept, and for which what was paid before is remembered.
pub(crate) const MAX_HISTORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Hours for which history is kept on disk.
pub(crate) const HISTORY_HOURS: u64 = 24;

/// Most bytes of history on disk: a day of ten cameras that see something five times a second.
pub(crate) const HISTORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Most events of one stream that are kept in memory.
pub(crate) const RING_EVENTS: usize = 1_000;

/// Minutes for which they are kept there.
pub(crate) const RING_MINUTES: u64 = 10;
