//! EIP-712 digests of everything that is signed in Ashya.
//!
//! All share one domain, `{name "Ashya", version "1", chainId, verifyingContract = ledger}`, so that a signature
//! made for one chain or ledger says nothing on another, and browser, Rust and Solidity can check each of them.

use crate::event::Event;
use crate::hash::{Hash, keccak256};
use crate::ids::{Address, DeviceId, FeedId};
use crate::names::{FeedName, StreamName};

const DOMAIN: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const EVENT: &str = "Event(address device,string stream,uint64 boot,uint64 seq,uint64 timeUs,string contentType,bytes32 payloadHash)";
const FEED_AUTHORIZATION: &str =
    "FeedAuthorization(address device,bytes32 name,address owner,uint64 deadline)";
const DEVICE_REGISTRATION: &str = "DeviceRegistration(address device,address owner,uint64 revision,string title,string description,string[] streams)";
const CREDENTIAL_REQUEST: &str = "CredentialRequest(address device,string nonce)";
const FEED_LISTING: &str = "FeedListing(bytes32 feed,bytes32 listing)";

/// The EIP-712 domain of one ledger on one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Address of the `FeedLedger`.
    pub ledger: Address,
}

impl Domain {
    /// The domain separator.
    pub fn separator(&self) -> Hash {
        Struct::new(DOMAIN)
            .text("Ashya")
            .text("1")
            .uint(self.chain_id)
            .address(&self.ledger)
            .hash()
    }

    /// Digest of an event, to be signed by the device's key.
    pub fn event(&self, event: &Event) -> Hash {
        self.digest(
            &Struct::new(EVENT)
                .address(&event.device.address())
                .text(event.stream.as_str())
                .uint(event.position.boot.get())
                .uint(event.position.seq.get())
                .uint(event.time_us.get())
                .text(event.content_type.as_str())
                .word(keccak256(&event.payload).as_bytes()),
        )
    }

    /// Digest by which a device consents that `owner` opens the feed `name` for it, until `deadline` (Unix seconds).
    pub fn feed_authorization(
        &self,
        device: DeviceId,
        name: &FeedName,
        owner: Address,
        deadline: u64,
    ) -> Hash {
        self.digest(
            &Struct::new(FEED_AUTHORIZATION)
                .address(&device.address())
                .word(&name.to_bytes32())
                .address(&owner)
                .uint(deadline),
        )
    }

    /// Digest of a device's registration document.
    pub fn device_registration(&self, registration: &crate::rest::Registration) -> Hash {
        self.digest(
            &Struct::new(DEVICE_REGISTRATION)
                .address(&registration.device.address())
                .address(&registration.owner)
                .uint(registration.revision)
                .text(&registration.title)
                .text(&registration.description)
                .texts(registration.streams.iter().map(StreamName::as_str)),
        )
    }

    /// Digest by which a device asks a gateway for MQTT credentials, with that gateway's fresh nonce.
    pub fn credential_request(&self, device: DeviceId, nonce: &str) -> Hash {
        self.digest(
            &Struct::new(CREDENTIAL_REQUEST)
                .address(&device.address())
                .text(nonce),
        )
    }

    /// Digest by which a feed's owner vouches for a listing document, named by its hash.
    pub fn feed_listing(&self, feed: FeedId, listing: Hash) -> Hash {
        self.digest(
            &Struct::new(FEED_LISTING)
                .word(feed.as_bytes())
                .word(listing.as_bytes()),
        )
    }

    fn digest(&self, message: &Struct) -> Hash {
        let mut bytes = [0; 66];
        bytes[..2].copy_from_slice(&[0x19, 0x01]);
        bytes[2..34].copy_from_slice(self.separator().as_bytes());
        bytes[34..].copy_from_slice(message.hash().as_bytes());
        keccak256(&bytes)
    }
}

/// Digest of a text as `personal_sign` signs it (EIP-191 version 0x45), which Sign-In with Ethereum uses.
pub fn personal_message(text: &str) -> Hash {
    let mut bytes = format!("\x19Ethereum Signed Message:\n{}", text.len()).into_bytes();
    bytes.extend_from_slice(text.as_bytes());
    keccak256(&bytes)
}

/// The encoding of one EIP-712 struct: its type hash and its fields, a 32-byte word each.
struct Struct(Vec<u8>);

impl Struct {
    fn new(encoded_type: &str) -> Self {
        Self(keccak256(encoded_type.as_bytes()).as_bytes().to_vec())
    }

    fn word(mut self, word: &[u8; 32]) -> Self {
        self.0.extend_from_slice(word);
        self
    }

    fn uint(self, value: u64) -> Self {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&value.to_be_bytes());
        self.word(&word)
    }

    fn address(self, address: &Address) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(address.as_bytes());
        self.word(&word)
    }

    fn text(self, text: &str) -> Self {
        self.word(keccak256(text.as_bytes()).as_bytes())
    }

    fn texts<'a>(self, texts: impl Iterator<Item = &'a str>) -> Self {
        let hashes: Vec<u8> = texts
            .flat_map(|text| *keccak256(text.as_bytes()).as_bytes())
            .collect();
        self.word(keccak256(&hashes).as_bytes())
    }

    fn hash(&self) -> Hash {
        keccak256(&self.0)
    }
}
