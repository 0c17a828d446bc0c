//! A local chain, and a door to it that a test can shut or lead elsewhere.

use std::env::consts::{ARCH, OS};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ashya_contracts::{Deployment, FeedTerms, Ledger, Rpc, SubscribeTerms, Wallet};
use ashya_protocol::{Address, DeviceKey, FeedAuthorization, FeedId, Hash, Wei};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use url::Url;

pub(crate) const PRICE: Wei = Wei::new(1_000_003);
/// The first keys of anvil's public test mnemonic.
const KEYS: [&str; 3] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/// A chain of its own with a ledger on it, which ends with this value.
pub(crate) struct Chain {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Ledger,
    pub(crate) deployment: Deployment,
    _anvil: Child,
}

pub(crate) fn key(index: usize) -> DeviceKey {
    DeviceKey::from_hex(KEYS[index]).unwrap()
}

pub(crate) fn wallet(index: usize) -> Wallet {
    Wallet::new(key(index))
}

pub(crate) fn device() -> DeviceKey {
    DeviceKey::from_bytes([9; 32]).unwrap()
}

impl Chain {
    pub(crate) async fn start() -> Self {
        Self::start_behind(Duration::ZERO).await
    }

    /// A chain whose clock is behind: two that start in the same second have the same first blocks, to the hash.
    pub(crate) async fn start_behind(behind: Duration) -> Self {
        let (anvil, address) = start_anvil(behind).await;
        let rpc = Rpc::new(&url(address)).unwrap();
        let deployment = Ledger::deploy(rpc.clone(), &wallet(0)).await.unwrap();
        let ledger = Ledger::connect(rpc, deployment.ledger).await.unwrap();
        Self {
            address,
            ledger,
            deployment,
            _anvil: anvil,
        }
    }

    pub(crate) async fn open_feed(&self, name: &str, listing: Hash) -> FeedId {
        let name = name.parse().unwrap();
        let owner = wallet(0);
        let domain = self.ledger.domain();
        let authorization =
            FeedAuthorization::sign(&device(), &domain, name, owner.address(), 4_000_000_000);
        let terms = FeedTerms {
            authorization,
            price: PRICE,
            payout: owner.address(),
            pauser: Address::ZERO,
            listing,
        };
        self.ledger.open_feed(&owner, terms).await.unwrap().0
    }

    /// Buys time for the payer itself and says when it ends, in feed time.
    pub(crate) async fn subscribe(&self, payer: &Wallet, feed: FeedId, duration: u64) -> u64 {
        let listing = self.ledger.feed(feed).await.unwrap().unwrap().listing;
        let terms = SubscribeTerms {
            feed,
            beneficiary: payer.address(),
            duration,
            max_price: PRICE,
            listing,
            price: PRICE,
        };
        self.ledger.subscribe(payer, terms).await.unwrap().expiry
    }

    pub(crate) async fn request(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = reqwest::Client::new()
            .post(url(self.address))
            .json(&body)
            .send()
            .await;
        let answer: Value = sent.unwrap().json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
}

/// A TCP door in front of a chain. While it is shut, connections are cut at once.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
}

impl Door {
    pub(crate) async fn to(chain: &Chain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = watch::Sender::new(Some(chain.address));
        let targets = target.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, targets.clone()));
            }
        });
        Self { address, target }
    }

    /// Cuts every connection and leads new ones elsewhere, or nowhere.
    pub(crate) fn lead(&self, chain: Option<&Chain>) {
        self.target.send_replace(chain.map(|chain| chain.address));
    }
}

pub(crate) fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).unwrap()
}

async fn pass(mut client: TcpStream, mut target: watch::Receiver<Option<SocketAddr>>) {
    let Some(address) = *target.borrow_and_update() else {
        return;
    };
    let Ok(mut chain) = TcpStream::connect(address).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut chain) => {}
        _ = target.changed() => {}
    }
}

async fn start_anvil(behind: Duration) -> (Child, SocketAddr) {
    let arch = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    let os = if OS == "macos" { "darwin" } else { OS };
    let binary = format!("../node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(binary);
    assert!(path.exists(), "{} is missing: run npm ci", path.display());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = (now - behind).as_secs().to_string();
    let mut child = Command::new(path)
        .args(["--host", "127.0.0.1", "--port", "0"])
        .args(["--timestamp", &timestamp])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("Listening on ") {
                return address.trim().parse().unwrap();
            }
        }
        panic!("anvil ended before it listened");
    };
    let address = timeout(Duration::from_secs(20), listening).await.unwrap();
    // Its output goes on, and a full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}
