//! The golden vectors, made by `vectors/make.mjs` with other people's EIP-712 and CBOR.

use serde_json::Value;

use crate::{
    Boot, DeviceKey, Domain, Envelope, Event, FeedId, FeedName, Hash, Listing, Position, Seq,
    Signature, TimeUs, keccak256, rest::Registration,
};

fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn get<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

fn domain(vectors: &Value) -> Domain {
    Domain {
        chain_id: get(&vectors["domain"]["chainId"]),
        ledger: get(&vectors["domain"]["ledger"]),
    }
}

fn event(value: &Value) -> Event {
    let position = Position {
        boot: get::<Boot>(&value["boot"]),
        seq: get::<Seq>(&value["seq"]),
    };
    Event {
        device: get(&value["device"]),
        stream: get(&value["stream"]),
        position,
        time_us: get::<TimeUs>(&value["timeUs"]),
        content_type: get(&value["contentType"]),
        payload: bytes(&value["payload"]).into(),
    }
}

#[test]
fn typed_data_agrees() {
    let vectors = load(include_str!("../vectors/typed_data.json"));
    let domain = domain(&vectors);
    let key = DeviceKey::from_hex(vectors["key"].as_str().unwrap()).unwrap();
    let device = key.device_id();
    assert_eq!(domain.separator(), get::<Hash>(&vectors["separator"]));

    let id = &vectors["feedId"];
    let name: FeedName = get(&id["name"]);
    assert_eq!(name.to_bytes32().to_vec(), bytes(&id["nameBytes32"]));
    let feed = FeedId::derive(device, &name);
    assert_eq!(feed, get::<FeedId>(&id["feed"]));

    let listing = &vectors["feedListing"];
    let document = listing["document"].as_str().unwrap();
    let hash = Listing::hash_of(document);
    assert_eq!(hash, get::<Hash>(&listing["listing"]));
    assert_eq!(Listing::from_canonical_json(document).unwrap().name, name);

    let registration = &vectors["deviceRegistration"];
    let typed = Registration {
        device,
        owner: get(&registration["owner"]),
        revision: get(&registration["revision"]),
        title: get(&registration["title"]),
        description: get(&registration["description"]),
        streams: get(&registration["streams"]),
    };
    let authorization = &vectors["feedAuthorization"];
    let owner = get(&authorization["owner"]);
    let nonce = vectors["credentialRequest"]["nonce"].as_str().unwrap();
    for (name, digest) in [
        ("event", domain.event(&event(&vectors["event"]))),
        (
            "feedAuthorization",
            domain.feed_authorization(
                device,
                &get(&authorization["name"]),
                owner,
                get(&authorization["deadline"]),
            ),
        ),
        ("deviceRegistration", domain.device_registration(&typed)),
        (
            "credentialRequest",
            domain.credential_request(device, nonce),
        ),
        ("feedListing", domain.feed_listing(feed, hash)),
    ] {
        assert_eq!(digest, get::<Hash>(&vectors[name]["digest"]), "{name}");
        let signature: Signature = get(&vectors[name]["signature"]);
        assert_eq!(signature.recover(&digest), Ok(device.address()), "{name}");
        assert_eq!(
            key.sign(&digest),
            signature,
            "{name}: RFC 6979 makes signatures repeatable"
        );
    }
}

#[test]
fn envelopes_agree() {
    let vectors = load(include_str!("../vectors/envelopes.json"));
    let domain = domain(&vectors);
    let key = DeviceKey::from_hex(vectors["key"].as_str().unwrap()).unwrap();
    let envelopes = vectors["envelopes"].as_array().unwrap();
    assert!(!envelopes.is_empty());
    for vector in envelopes {
        let event = event(&vector["event"]);
        assert_eq!(
            keccak256(&event.payload),
            get::<Hash>(&vector["event"]["payloadHash"])
        );
        assert_eq!(domain.event(&event), get::<Hash>(&vector["digest"]));
        let envelope = event.sign(&key, &domain);
        assert_eq!(
            envelope.encode().unwrap(),
            bytes(&vector["envelope"]),
            "{}",
            vector["name"]
        );
        let decoded = Envelope::decode(&bytes(&vector["envelope"])).unwrap();
        assert_eq!(decoded, envelope);
        assert!(decoded.verify(&domain).is_ok());
    }
    let refused = vectors["refused"].as_array().unwrap();
    assert!(!refused.is_empty());
    for vector in refused {
        assert!(
            Envelope::decode(&bytes(&vector["envelope"])).is_err(),
            "{}",
            vector["name"]
        );
    }
}
