use ashya_protocol::{Address, DeviceKey, FeedAuthorization, FeedId, Hash, Wei};
use ethers::types::U64;
use serde_json::{Value, json};
use tokio::process::Child;

use super::process::start_anvil;
use crate::{FeedTerms, Ledger, Rpc, Wallet};

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
        FeedAuthorization::sign(device, &self.ledger.domain(), name, owner, 4_000_000_000)
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

    /// Makes no block any more but those of [`Self::mine`].
    pub(super) async fn mine_on_demand(&self) {
        self.request("evm_setAutomine", json!([false])).await;
    }

    /// Sets the base fee of the next block, in wei.
    pub(super) async fn set_base_fee(&self, fee: u64) {
        self.request("anvil_setNextBlockBaseFeePerGas", json!([U64::from(fee)]))
            .await;
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
