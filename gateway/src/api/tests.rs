//! REST without a node behind it.

mod devices;
mod document;
mod previews;
mod requests;
mod wallets;

use std::time::Duration;

use ashya_contracts::{ClockChange, LedgerEvent};
use ashya_protocol::rest::{
    Credentials, Device, DeviceList, Feed, FeedList, FeedState, Nonce, Problem, Registration,
    SignedRegistration, SubscriptionList,
};
use ashya_protocol::{Address, DeviceKey, FeedId, FeedName, Hash, Position, Wei};
use axum::body::Body;
use axum::response::Response;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::*;
use crate::auth::rates::RateConfig;
use crate::chain_clock::{ClockSource, Freshness};
use crate::hub::Hub;
use crate::outage::Heard;
use crate::positions::Positions;
use crate::presence::{Door, Word};
use crate::registration_policy::RegistrationPolicy;

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
        Self::with_policy(RegistrationPolicy::Open)
    }

    fn with_policy(policy: RegistrationPolicy) -> Self {
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
            finalized: None,
            demo_keys: Vec::new(),
        };
        let minute = Duration::from_secs(60);
        let metrics = Metrics::new();
        let traces = Traces {
            positions: Positions::load(store.clone()).unwrap(),
            hub: Hub::new(metrics.clone()),
            heard: Heard::default(),
        };
        let state = ApiState {
            index: LedgerIndex::new(DOMAIN),
            registry: Registry::load(store.clone(), DOMAIN, 10)
                .unwrap()
                .with_policy(policy),
            sessions: Sessions::load(store.clone(), &secret, minute, 10).unwrap(),
            passwords: DevicePasswords::new(&secret, minute),
            nonces: Nonces::load(store.clone(), &secret, minute, 100).unwrap(),
            rates: Rates::new(RateConfig {
                nonces: 100,
                sessions: 20,
                registrations: 20,
                credentials: 20,
                per_address: 10,
            }),
            clock: ChainClock::new(ClockSource::Head, freshness),
            presence: Presence::new(),
            traces,
            previews: Previews::load(store.clone()).unwrap(),
            chain: ChainStatus::default(),
            // The discard port: nobody listens there.
            rpc: Rpc::new(&Url::parse("http://127.0.0.1:9").unwrap()).unwrap(),
            store,
            metrics,
            draining: Draining::default(),
            site: Site(Arc::new(SiteInfo {
                domains: vec!["127.0.0.1:8080".into()],
                chain,
                mqtt_port: 1883,
                mqtt_tls_port: None,
                mqtt_host: None,
                proxies: Proxies::default(),
            })),
        };
        let http = HttpPolicy {
            timeout: Duration::from_secs(15),
            cors_origins: Vec::new(),
            public_rpc: Some(Url::parse("http://127.0.0.1:8545/key").unwrap()),
        };
        // The streams' own routes are tested with their sockets.
        let streams = Router::new()
            .route("/v1/ws", get(async || ""))
            .route("/v1/feeds/{id}/events", get(async || ""));
        Self {
            routes: router(state.clone(), &http, streams),
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
