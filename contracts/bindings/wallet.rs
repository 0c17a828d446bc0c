use std::sync::Arc;

use ashya_protocol::{Address, DeviceKey};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{Bytes, H256, Signature, U256};
use tokio::sync::{Mutex, MutexGuard};

/// A key that signs transactions and pays for them. A clone is the same wallet.
#[derive(Debug, Clone)]
pub struct Wallet {
    key: Arc<DeviceKey>,
    /// Held from reading the next nonce to sending with it, so that two transactions never take the same.
    turn: Arc<Mutex<()>>,
}

impl Wallet {
    /// A wallet of this key.
    pub fn new(key: DeviceKey) -> Self {
        Self {
            key: Arc::new(key),
            turn: Arc::default(),
        }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The signed transaction as it is sent. Its chain id is a part of what is signed.
    pub(crate) fn sign(&self, transaction: &TypedTransaction) -> Bytes {
        let H256(digest) = transaction.sighash();
        let signature = self.key.sign(&ashya_protocol::Hash::new(digest));
        let bytes = signature.as_bytes();
        transaction.rlp_signed(&Signature {
            r: U256::from_big_endian(&bytes[..32]),
            s: U256::from_big_endian(&bytes[32..64]),
            // A typed transaction (EIP-2718) has the parity of y there, not 27 or 28.
            v: u64::from(bytes[64] - 27),
        })
    }
}
