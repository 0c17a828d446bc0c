use std::time::Duration;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::rest::{
    Credentials, Device, Feed, FeedList, Nonce, Problem, Registration, SignedRegistration,
    SubscriptionList,
};
use ashya_protocol::{Address, DeviceKey, Domain, FeedId, FeedName, Hash, Wei};
use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::*;
use crate::chain_clock::{ClockSource, Freshness};

const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};
const BASE: u64 = 1_000;

/// The REST interface without a node behind it, and the parts that it works on.
struct Rig {
    routes: Router,
    state: ApiState,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let secret = store.secret().unwrap();
        let freshness = Freshness {
            max_silence: Duration::from_secs(30),
            max_head_age: None,
        };
        let chain = Chain {
            chain_id: DOMAIN.chain_id,
            name: "Local test chain".into(),
            ledger: DOMAIN.ledger,
            deployment_block: 1,
            rpc_url: None,
            head: None,
            demo_keys: Vec::new(),
        };
        let minute = Duration::from_secs(60);
        let state = ApiState {
            index: LedgerIndex::new(DOMAIN),
            registry: Registry::load(store.clone(), DOMAIN).unwrap(),
            sessions: Sessions::new(&secret, minute),
            passwords: DevicePasswords::new(&secret, minute),
            nonces: Nonces::load(store.clone(), &secret, minute, 100).unwrap(),
            clock: ChainClock::new(ClockSource::Head, freshness),
            presence: Presence::new(),
            chain: ChainStatus::default(),
            // The discard port: nobody listens there.
            rpc: Rpc::new(&Url::parse("http://127.0.0.1:9").unwrap()).unwrap(),
            store,
            metrics: Metrics::new(),
            site: Site(Arc::new(SiteInfo {
                domains: vec!["127.0.0.1:8080".into()],
                chain,
                mqtt_port: 1883,
                mqtt_host: None,
            })),
        };
        let policy = HttpPolicy {
            timeout: Duration::from_secs(15),
            cors_origins: Vec::new(),
            public_rpc: Some(Url::parse("http://127.0.0.1:8545/key").unwrap()),
        };
        Self {
            routes: router(state.clone(), &policy, Router::new()),
            state,
            _folder: folder,
        }
    }

    async fn send(&self, request: Request<Body>) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> (StatusCode, T) {
        read(self.send(request(Method::GET, path, Body::empty())).await).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> (StatusCode, T) {
        read(self.send(request(Method::POST, path, json(body))).await).await
    }

    /// A feed of `key`'s device, owned by `owner`.
    fn open_feed(&self, key: &DeviceKey, name: &str, owner: Address) -> FeedId {
        let name: FeedName = name.parse().unwrap();
        let device = key.device_id();
        let feed = FeedId::derive(device, &name);
        let opened = LedgerEvent::FeedOpened {
            feed,
            device,
            name,
            owner,
            base: BASE,
        };
        let set = LedgerEvent::FeedSet {
            feed,
            device,
            price: Wei::new(5),
            payout: owner,
            pauser: Address::ZERO,
            listing: Hash::new([1; 32]),
        };
        self.state.index.apply(&[opened, set]);
        feed
    }

    fn see_head(&self, timestamp: u64) {
        let head = ashya_protocol::rest::Head {
            number: 1,
            timestamp,
        };
        let now = tokio::time::Instant::now();
        self.state.clock.saw(head, now).unwrap();
    }

    fn bearer(&self, method: Method, path: &str, wallet: Address) -> Request<Body> {
        let token = self.state.sessions.issue(wallet).token;
        let mut request = request(method, path, Body::empty());
        let value = format!("Bearer {token}").parse().unwrap();
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, value);
        request
    }
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path);
    builder
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

fn json(body: &impl Serialize) -> Body {
    Body::from(serde_json::to_vec(body).unwrap())
}

async fn read<T: DeserializeOwned>(response: Response) -> (StatusCode, T) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status, body)
}

fn key(byte: u8) -> DeviceKey {
    DeviceKey::from_bytes([byte; 32]).unwrap()
}

fn registration(key: &DeviceKey, owner: Address, revision: u64) -> SignedRegistration {
    let registration = Registration {
        device: key.device_id(),
        owner,
        revision,
        title: "Gate".into(),
        description: String::new(),
        streams: vec!["detections".parse().unwrap()],
    };
    let signature = key.sign(&DOMAIN.device_registration(&registration));
    SignedRegistration {
        registration,
        signature,
    }
}

#[tokio::test]
async fn every_failure_is_a_problem_document() {
    let rig = Rig::new();
    let id = key(7).device_id();
    let feed = FeedId::new([1; 32]);
    let huge = "x".repeat(MAX_REST_BODY_BYTES + 1);
    let registration = serde_json::to_string(&registration(&key(7), Address::ZERO, 1)).unwrap();
    let post = Method::POST;
    let get = Method::GET;
    for (method, path, body, status, code) in [
        (&get, "/v1/nothing".to_owned(), "", 404, "route-unknown"),
        (&get, "/v1".into(), "", 404, "route-unknown"),
        (&post, "/v1/nothing".into(), "", 404, "route-unknown"),
        (
            &Method::DELETE,
            "/v1/chain".into(),
            "",
            405,
            "method-not-allowed",
        ),
        (&post, "/index.html".into(), "", 405, "method-not-allowed"),
        (&post, "/v1/devices".into(), "", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "{", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "{}", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "[]", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "\u{0}", 400, "body-malformed"),
        (&post, "/v1/devices".into(), &huge, 413, "body-too-large"),
        (
            &Method::PUT,
            format!("/v1/feeds/{feed}/listing"),
            &huge,
            413,
            "body-too-large",
        ),
        (&get, "/v1/devices/0x12".into(), "", 400, "id-malformed"),
        (&get, "/v1/devices/%FF".into(), "", 400, "id-malformed"),
        (&get, format!("/v1/devices/{id}"), "", 404, "device-unknown"),
        (&get, "/v1/feeds/0x12".into(), "", 400, "id-malformed"),
        (&get, format!("/v1/feeds/{feed}"), "", 404, "feed-unknown"),
        (
            &get,
            format!("/v1/feeds/{feed}/listing"),
            "",
            404,
            "feed-unknown",
        ),
        (
            &get,
            "/v1/feeds?device=me".into(),
            "",
            400,
            "query-malformed",
        ),
        (&get, "/v1/me/subscriptions".into(), "", 401, "unauthorized"),
        (
            &Method::DELETE,
            format!("/v1/devices/{id}"),
            "",
            401,
            "unauthorized",
        ),
        (
            &Method::PUT,
            format!("/v1/devices/{}", key(8).device_id()),
            &registration,
            400,
            "device-mismatch",
        ),
        (
            &get,
            "/v1/health/ready".into(),
            "",
            503,
            "chain-unavailable",
        ),
        (
            &post,
            "/v1/auth/session".into(),
            r#"{"message":"hello","signature":"0x00"}"#,
            400,
            "siwe-malformed",
        ),
    ] {
        let response = rig
            .send(request(method.clone(), &path, Body::from(body.to_owned())))
            .await;
        let kind = response.headers()[CONTENT_TYPE].clone();
        let (found, problem): (_, Problem) = read(response).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(
            problem.code, code,
            "{method} {path} {shown}: {}",
            problem.detail
        );
        assert_eq!(
            (found.as_u16(), problem.status),
            (status, status),
            "{method} {path}"
        );
        assert_eq!(kind, "application/problem+json", "{method} {path}");
        assert!(!problem.detail.is_empty() && problem.kind == "about:blank");
    }
}

#[tokio::test]
async fn a_body_that_grows_beyond_the_limit_is_refused_too() {
    let rig = Rig::new();
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let response = rig.send(request(Method::POST, "/v1/devices", body)).await;
    let (status, problem): (_, Problem) = read(response).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (413, "body-too-large")
    );
}

#[tokio::test]
async fn a_wrong_content_type_is_named() {
    let rig = Rig::new();
    let mut request = request(Method::POST, "/v1/devices", Body::from("{}"));
    request
        .headers_mut()
        .insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    let (status, problem): (_, Problem) = read(rig.send(request).await).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (415, "content-type")
    );
}

#[tokio::test]
async fn answers_carry_the_security_headers() {
    let rig = Rig::new();
    for path in ["/", "/v1/chain", "/v1/nothing", "/feeds/7"] {
        let response = rig.send(request(Method::GET, path, Body::empty())).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "script-src 'self';",
            "connect-src 'self' http://127.0.0.1:8545;",
            "img-src 'self' blob: data:;",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-request-id").len(), 16);
    }
}

#[tokio::test]
async fn the_page_answers_for_its_own_views_only() {
    let rig = Rig::new();
    for (path, status) in [
        ("/", 200),
        ("/index.html", 200),
        ("/feeds/7", 200),
        ("/x.js", 404),
    ] {
        let response = rig.send(request(Method::GET, path, Body::empty())).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let kind = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            kind.starts_with("text/html"),
            status == 200,
            "{path}: {kind}"
        );
    }
    let first = rig.send(request(Method::GET, "/", Body::empty())).await;
    let mut again = request(Method::GET, "/", Body::empty());
    again
        .headers_mut()
        .insert("if-none-match", first.headers()["etag"].clone());
    assert_eq!(rig.send(again).await.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_device_registers_and_its_owner_is_proven_by_a_feed() {
    let rig = Rig::new();
    let (device, owner) = (key(7), key(8).address());
    let signed = registration(&device, owner, 1);
    let (status, first): (_, Device) = rig.post("/v1/devices", &signed).await;
    assert_eq!(
        (status.as_u16(), first.owner_proven, first.online),
        (201, false, false)
    );
    let (status, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    assert_eq!(status.as_u16(), 200);
    let other_owner = registration(&device, Address::ZERO, 1);
    let (status, problem): (_, Problem) = rig.post("/v1/devices", &other_owner).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (409, "revision-old")
    );
    rig.open_feed(&device, "gate", owner);
    rig.state.presence.set(device.device_id(), true);
    let path = format!("/v1/devices/{}", device.device_id());
    let (_, proven): (_, Device) = rig.get(&path).await;
    assert!(proven.owner_proven && proven.online);

    for (wallet, status) in [(key(9).address(), 403), (owner, 204), (owner, 404)] {
        let response = rig.send(rig.bearer(Method::DELETE, &path, wallet)).await;
        assert_eq!(response.status().as_u16(), status, "{wallet}");
    }
    let (status, _): (_, Problem) = rig.post("/v1/devices", &signed).await;
    assert_eq!(status.as_u16(), 409, "a removed device is not replayed");
}

#[tokio::test]
async fn credentials_are_for_the_device_and_a_fresh_nonce() {
    let rig = Rig::new();
    let device = key(7);
    let id = device.device_id();
    let path = format!("/v1/devices/{id}/credentials");
    let (_, Nonce { nonce }) = rig.post("/v1/auth/nonce", &()).await;
    let ask = |nonce: &str, key: &DeviceKey| ashya_protocol::rest::CredentialRequest {
        nonce: nonce.into(),
        signature: key.sign(&DOMAIN.credential_request(id, nonce)),
    };
    let (status, problem): (_, Problem) = rig.post(&path, &ask(&nonce, &device)).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (404, "device-unknown")
    );
    let signed = registration(&device, Address::ZERO, 1);
    let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    for (request, code) in [
        (ask("00", &device), "nonce-invalid"),
        (ask(&nonce, &key(8)), "signature-invalid"),
    ] {
        let (status, problem): (_, Problem) = rig.post(&path, &request).await;
        assert_eq!((status.as_u16(), problem.code.as_str()), (403, code));
    }
    let (status, given): (_, Credentials) = rig.post(&path, &ask(&nonce, &device)).await;
    assert_eq!((status.as_u16(), given.mqtt_port), (200, 1883));
    let claims = rig
        .state
        .passwords
        .verify(&given.username, &given.password)
        .unwrap();
    assert_eq!((claims.device, claims.expires_at), (id, given.expires_at));
    let other = key(8).device_id().to_string();
    assert!(rig.state.passwords.verify(&other, &given.password).is_err());
    assert!(
        rig.state.sessions.wallet_of(&given.password).is_err(),
        "not a wallet's token"
    );
    let (_, problem): (_, Problem) = rig.post(&path, &ask(&nonce, &device)).await;
    assert_eq!(problem.code, "nonce-used");
}

#[tokio::test]
async fn feeds_are_listed_and_searched() {
    let rig = Rig::new();
    let owner = key(8).address();
    let gate = rig.open_feed(&key(7), "North gate", owner);
    let yard = rig.open_feed(&key(6), "Yard", owner);
    let device = key(6).device_id();
    for (query, expected) in [
        (String::new(), vec![gate, yard]),
        ("?q=gate".into(), vec![gate]),
        ("?q=GATE%20north".into(), vec![gate]),
        ("?q=south".into(), vec![]),
        (format!("?q={owner}"), vec![gate, yard]),
        (format!("?device={device}"), vec![yard]),
        (format!("?device={device}&q=gate"), vec![]),
    ] {
        let (_, list): (_, FeedList) = rig.get(&format!("/v1/feeds{query}")).await;
        let ids: Vec<FeedId> = list.feeds.iter().map(|feed| feed.id).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let (_, feed): (_, Feed) = rig.get(&format!("/v1/feeds/{gate}")).await;
    assert_eq!((feed.title.as_str(), feed.streams.len()), ("North gate", 0));
    assert_eq!(feed.state, ashya_protocol::rest::FeedState::Open);
    let (status, problem): (_, Problem) = rig.get(&format!("/v1/feeds/{gate}/listing")).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (404, "listing-missing")
    );
}

#[tokio::test]
async fn my_subscriptions_need_a_current_chain() {
    let rig = Rig::new();
    let wallet = key(5).address();
    let feed = rig.open_feed(&key(7), "Gate", key(8).address());
    let set = LedgerEvent::SubscriptionSet {
        feed,
        beneficiary: wallet,
        payer: wallet,
        price: Wei::new(5),
        start: 10,
        expiry: 100,
    };
    rig.state.index.apply([&set]);
    let path = "/v1/me/subscriptions";
    let (status, problem): (_, Problem) =
        read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (503, "chain-unavailable")
    );
    for (time, live, expires_at) in [
        (BASE + 50, true, Some(BASE + 100)),
        (BASE + 100, false, None),
    ] {
        rig.see_head(time);
        let (_, list): (_, SubscriptionList) =
            read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
        let one = &list.subscriptions[0];
        assert_eq!(
            (one.live, one.expires_at, one.expiry),
            (live, expires_at, 100),
            "at {time}"
        );
    }
    let paused = LedgerEvent::FeedClock {
        feed,
        clock: ClockChange {
            paused_at: Some(BASE + 50),
            paused_total: 0,
            paused_by: None,
            retires_at: None,
        },
    };
    rig.state.index.apply([&paused]);
    let (_, list): (_, SubscriptionList) =
        read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
    assert!(list.subscriptions[0].live && list.subscriptions[0].expires_at.is_none());
    let (status, _): (_, serde_json::Value) = rig.get("/v1/health/ready").await;
    assert_eq!(status.as_u16(), 200);
}

#[tokio::test]
async fn signing_in_without_a_node_is_refused_and_keeps_the_nonce() {
    let rig = Rig::new();
    let (_, Nonce { nonce }) = rig.post("/v1/auth/nonce", &()).await;
    let wallet = key(5);
    let text = |domain: &str, chain: u64| {
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{}\n\nSign in to Ashya\n\n\
             URI: http://{domain}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n\
             Issued At: 2026-01-01T00:00:00Z",
            wallet.address()
        )
    };
    for (message, signature, status, code) in [
        (text("evil.example", 31_337), "0x00", 403, "siwe-domain"),
        (text("127.0.0.1:8080", 1), "0x00", 403, "siwe-chain"),
        (
            text("127.0.0.1:8080", 31_337),
            "0x",
            400,
            "signature-malformed",
        ),
        (
            text("127.0.0.1:8080", 31_337),
            "nonsense",
            400,
            "signature-malformed",
        ),
        (
            text("127.0.0.1:8080", 31_337),
            "0x00",
            503,
            "chain-unavailable",
        ),
    ] {
        let body = serde_json::json!({ "message": message, "signature": signature });
        let (found, problem): (_, Problem) = rig.post("/v1/auth/session", &body).await;
        assert_eq!((found.as_u16(), problem.code.as_str()), (status, code));
    }
    assert!(
        rig.state.nonces.check(&nonce).is_ok(),
        "a failed sign-in does not spend the nonce"
    );
}

#[tokio::test]
async fn tokens_are_read_from_the_header_alone() {
    let rig = Rig::new();
    rig.see_head(BASE);
    let token = rig.state.sessions.issue(key(5).address()).token;
    let path = format!("/v1/me/subscriptions?token={token}");
    let (status, _): (_, Problem) = rig.get(&path).await;
    assert_eq!(status.as_u16(), 401);
    let mut forged = rig.bearer(Method::GET, "/v1/me/subscriptions", key(5).address());
    let other = Sessions::new(&[0; 32], Duration::from_secs(60)).issue(key(5).address());
    let value = format!("Bearer {}", other.token).parse().unwrap();
    forged
        .headers_mut()
        .insert(http::header::AUTHORIZATION, value);
    let (status, _): (_, Problem) = read(rig.send(forged).await).await;
    assert_eq!(status.as_u16(), 401);
}

#[tokio::test]
async fn metrics_show_every_reason_from_the_start() {
    let metrics = Metrics::new();
    metrics.rejected(crate::metrics::Rejection::Signature);
    let routes = metrics_router(metrics);
    let asked = request(Method::GET, "/metrics", Body::empty());
    let response = routes.oneshot(asked).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for line in [
        "ashya_events_rejected_total{reason=\"signature\"} 1",
        "ashya_events_rejected_total{reason=\"too-large\"} 0",
        "ashya_events_accepted_total 0",
        "ashya_events_delivered_total 0",
        "ashya_events_dropped_total{reason=\"slow\"} 0",
        "ashya_sockets 0",
        "ashya_chain_head_number 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} not in\n{text}"
        );
    }
}
