use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ashya_protocol::{Address, DeviceKey, FeedId, Hash, Wei};
use ethers::types::U64;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use url::Url;

use crate::{FeedAuthorization, FeedTerms, Ledger, Rpc, Wallet};

pub(super) const LISTING: Hash = Hash::new([7; 32]);
pub(super) const PRICE: Wei = Wei::new(1_000_003);
/// The first keys of anvil's public test mnemonic.
const KEYS: [&str; 3] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/// A chain of its own, which ends with this value, with a ledger and a feed on it.
pub(super) struct Chain {
    pub(super) rpc: Rpc,
    pub(super) ledger: Ledger,
    pub(super) provider: Wallet,
    pub(super) alice: Wallet,
    pub(super) device: DeviceKey,
    _anvil: Child,
}

impl Chain {
    pub(super) async fn start() -> Self {
        let (anvil, url) = start_anvil().await;
        let rpc = Rpc::new(&url).unwrap();
        let provider = wallet(0);
        let deployment = Ledger::deploy(rpc.clone(), &provider).await.unwrap();
        assert_eq!(deployment.chain_id, 31_337);
        let ledger = Ledger::connect(rpc.clone(), deployment.ledger)
            .await
            .unwrap();
        Self {
            rpc,
            ledger,
            provider,
            alice: wallet(1),
            device: DeviceKey::from_bytes([9; 32]).unwrap(),
            _anvil: anvil,
        }
    }

    pub(super) async fn open_feed(&self) -> FeedId {
        let terms = FeedTerms {
            authorization: self.authorization(&self.device, self.provider.address()),
            price: PRICE,
            payout: payout(),
            pauser: wallet(2).address(),
            listing: LISTING,
        };
        let (feed, receipt) = self.ledger.open_feed(&self.provider, terms).await.unwrap();
        assert!(receipt.gas_used > 21_000 && receipt.fee > Wei::default());
        feed
    }

    pub(super) fn authorization(&self, device: &DeviceKey, owner: Address) -> FeedAuthorization {
        let name = "front door".parse().unwrap();
        let deadline = 4_000_000_000;
        let domain = self.ledger.domain();
        let digest = domain.feed_authorization(device.device_id(), &name, owner, deadline);
        FeedAuthorization {
            device: device.device_id(),
            name,
            owner,
            deadline,
            signature: device.sign(&digest),
        }
    }

    /// Mines a block that is `seconds` after the newest.
    pub(super) async fn wait(&self, seconds: u64) {
        let next = self.rpc.latest().await.unwrap().timestamp + seconds;
        self.request("evm_setNextBlockTimestamp", json!([next]))
            .await;
        self.request("evm_mine", json!([])).await;
    }

    pub(super) async fn mine(&self, blocks: u64) {
        self.request("anvil_mine", json!([U64::from(blocks)])).await;
    }

    async fn request(&self, method: &str, params: Value) -> Value {
        self.rpc.provider().request(method, params).await.unwrap()
    }
}

pub(super) fn wallet(index: usize) -> Wallet {
    Wallet::new(DeviceKey::from_hex(KEYS[index]).unwrap())
}

pub(super) fn payout() -> Address {
    Address::new([0xaa; 20])
}

async fn start_anvil() -> (Child, Url) {
    let arch = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    let os = if OS == "macos" { "darwin" } else { OS };
    let mut child = Command::new(find(&format!(
        "node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil"
    )))
    .args([
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--slots-in-an-epoch",
        "1",
    ])
    .stdout(Stdio::piped())
    .kill_on_drop(true)
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = timeout(Duration::from_secs(30), async {
        loop {
            let line = lines.next_line().await.unwrap().expect("anvil ended");
            if let Some(address) = line.strip_prefix("Listening on ") {
                return address.to_owned();
            }
        }
    });
    let address = address.await.expect("anvil did not start in time");
    // It goes on printing, and must not stop at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, format!("http://{address}").parse().unwrap())
}

fn find(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .map(|folder| folder.join(path))
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{path} is missing: run `npm install --ignore-scripts`"))
}
