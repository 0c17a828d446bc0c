//! A signer in another process, such as Clef or web3signer. Tested against anvil, not against a hardware wallet.

use std::time::Duration;

use ashya_protocol::typed_data::personal_message;
use ashya_protocol::{Address, Domain, FeedId, Hash, Signature};
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{H256, U256};
use ethers::utils::rlp::Rlp;
use serde_json::{Value, json};
use url::Url;

use crate::error::ChainError;
use crate::release::{DOMAIN_NAME, DOMAIN_VERSION};

/// Somebody has to read what a small display shows and press a button.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// JSON-RPC: the method does not exist.
const METHOD_NOT_FOUND: i64 = -32601;

/// A signer that speaks JSON-RPC and holds the key of one account.
///
/// It is not trusted with what it signs: only its signature is taken, and only when it is the account's signature of
/// exactly what was asked.
#[derive(Debug)]
pub struct ExternalSigner {
    url: Url,
    account: Address,
    client: reqwest::Client,
}

impl ExternalSigner {
    /// Names the signer and the account. Nothing is sent yet.
    ///
    /// # Errors
    /// When the scheme is neither `http` nor `https`, or TLS cannot be set up.
    pub fn new(url: Url, account: Address) -> Result<Self, ChainError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ChainError::Scheme(url.scheme().to_owned()));
        }
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(unreachable_signer)?;
        Ok(Self {
            url,
            account,
            client,
        })
    }

    /// The account whose key it holds.
    pub fn address(&self) -> Address {
        self.account
    }

    /// The account's signature of this transaction.
    pub(crate) async fn sign(
        &self,
        transaction: &TypedTransaction,
    ) -> Result<Signature, ChainError> {
        let arguments = json!([arguments(transaction, self.account)?]);
        // Clef alone has its own name for it.
        let answer = self
            .either("eth_signTransaction", "account_signTransaction", &arguments)
            .await?;
        // Clef and geth answer with an object, the others with the bytes alone.
        let raw = answer.get("raw").unwrap_or(&answer);
        let (signed, signature) = decode(raw)?;
        let H256(asked) = transaction.sighash();
        if signed != asked {
            return Err(ChainError::Signer(
                "it signed another transaction than it was asked for".to_owned(),
            ));
        }
        self.checked(signature, &Hash::new(asked))
    }

    /// The account's signature of a listing (EIP-712).
    pub(crate) async fn sign_listing(
        &self,
        domain: &Domain,
        feed: FeedId,
        listing: Hash,
    ) -> Result<Signature, ChainError> {
        let arguments = json!([self.account, listing_document(domain, feed, listing)]);
        let answer = self
            .either("eth_signTypedData_v4", "account_signTypedData", &arguments)
            .await?;
        let signature = answer.as_str().and_then(|text| text.parse().ok());
        let signature = signature.ok_or_else(no_signature)?;
        self.checked(signature, &domain.feed_listing(feed, listing))
    }

    /// The account's signature of a text (EIP-191).
    pub(crate) async fn sign_message(&self, text: &str) -> Result<Signature, ChainError> {
        let data = format!("0x{}", hex::encode(text));
        let mut answer = self
            .request("personal_sign", &json!([data, self.account]))
            .await?;
        if answer["error"]["code"] == METHOD_NOT_FOUND {
            // Clef has its own name for it, and asks for the kind of the data.
            let arguments = json!(["text/plain", self.account, data]);
            answer = self.request("account_signData", &arguments).await?;
        }
        let answer = result(answer)?;
        let signature = answer.as_str().and_then(|text| text.parse().ok());
        let signature = signature.ok_or_else(no_signature)?;
        self.checked(signature, &personal_message(text))
    }

    fn checked(&self, signature: Signature, digest: &Hash) -> Result<Signature, ChainError> {
        match signature.recover(digest) {
            Ok(signer) if signer == self.account => Ok(signature),
            Ok(signer) => Err(ChainError::Signer(format!(
                "it signed as {signer}, not as {}",
                self.account
            ))),
            Err(error) => Err(ChainError::Signer(error.to_string())),
        }
    }

    async fn either(
        &self,
        method: &str,
        fallback: &str,
        arguments: &Value,
    ) -> Result<Value, ChainError> {
        let mut answer = self.request(method, arguments).await?;
        if answer["error"]["code"] == METHOD_NOT_FOUND {
            answer = self.request(fallback, arguments).await?;
        }
        result(answer)
    }

    async fn request(&self, method: &str, arguments: &Value) -> Result<Value, ChainError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": arguments });
        let response = self.client.post(self.url.clone()).json(&request).send();
        let response = response.await.map_err(unreachable_signer)?;
        response.json().await.map_err(unreachable_signer)
    }
}

fn result(mut answer: Value) -> Result<Value, ChainError> {
    match answer.get("error") {
        None | Some(Value::Null) => Ok(answer["result"].take()),
        Some(error) => Err(ChainError::Signer(format!(
            "it refused: {}",
            error["message"].as_str().unwrap_or("without a reason")
        ))),
    }
}

fn no_signature() -> ChainError {
    ChainError::Signer("its answer is no 65-byte signature".to_owned())
}

/// Without the address of the signer, which may hold a password.
fn unreachable_signer(error: reqwest::Error) -> ChainError {
    let error = error.without_url();
    let reason = if error.is_connect() {
        "it could not be reached".to_owned()
    } else if error.is_timeout() {
        format!("it gave no answer within {} s", ANSWER_TIMEOUT.as_secs())
    } else {
        error.to_string()
    };
    ChainError::Signer(reason)
}

/// The transaction in the words of `eth_signTransaction`.
fn arguments(transaction: &TypedTransaction, from: Address) -> Result<Value, ChainError> {
    let request = transaction
        .as_eip1559_ref()
        .ok_or_else(|| ChainError::Signer("it is asked for EIP-1559 transactions only".into()))?;
    let mut arguments = json!({
        "type": "0x2",
        "from": from,
        "chainId": request.chain_id,
        "nonce": request.nonce,
        "gas": request.gas,
        "maxFeePerGas": request.max_fee_per_gas,
        "maxPriorityFeePerGas": request.max_priority_fee_per_gas,
        "value": request.value,
        "data": request.data,
    });
    if let Some(to) = transaction.to_addr() {
        arguments["to"] = json!(to);
    }
    Ok(arguments)
}

/// What a signed transaction signs, and its signature.
fn decode(raw: &Value) -> Result<([u8; 32], Signature), ChainError> {
    let malformed = || ChainError::Signer("its answer is no signed transaction".to_owned());
    let text = raw.as_str().ok_or_else(malformed)?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = hex::decode(digits).map_err(|_| malformed())?;
    let (transaction, signature) =
        TypedTransaction::decode_signed(&Rlp::new(&bytes)).map_err(|_| malformed())?;
    let H256(digest) = transaction.sighash();
    let mut packed = [0; 65];
    write_word(signature.r, &mut packed[..32]);
    write_word(signature.s, &mut packed[32..64]);
    packed[64] = match signature.v {
        0 | 1 => 27 + u8::from(signature.v == 1),
        _ => return Err(malformed()),
    };
    Ok((digest, Signature::new(packed)))
}

fn write_word(number: U256, word: &mut [u8]) {
    number.to_big_endian(word);
}

/// `FeedListing` as wallets show it (EIP-712).
fn listing_document(domain: &Domain, feed: FeedId, listing: Hash) -> Value {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    json!({
        "types": {
            "EIP712Domain": [
                field("name", "string"),
                field("version", "string"),
                field("chainId", "uint256"),
                field("verifyingContract", "address"),
            ],
            "FeedListing": [field("feed", "bytes32"), field("listing", "bytes32")],
        },
        "primaryType": "FeedListing",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.ledger,
        },
        "message": { "feed": feed, "listing": listing },
    })
}
