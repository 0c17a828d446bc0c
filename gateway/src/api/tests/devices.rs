//! Devices: registration and credentials.

use std::collections::BTreeSet;

use ashya_protocol::Listing;
use ashya_protocol::rest::SignedListing;

use super::previews::listing;
use super::*;

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
    rig.state
        .presence
        .set(Door::Broker, device.device_id(), Word::Online);
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
        rig.state.sessions.verify(&given.password).is_err(),
        "not a wallet's token"
    );
    let (_, problem): (_, Problem) = rig.post(&path, &ask(&nonce, &device)).await;
    assert_eq!(problem.code, "nonce-used");
}

#[tokio::test]
async fn a_device_that_makes_room_leaves_nothing_behind_unless_it_may_be_sold() {
    let rig = Rig::new();
    let (detections, owner) = ("detections".parse().unwrap(), key(99).address());
    let positions = &rig.state.traces.positions;
    let first = Position {
        boot: 1.try_into().unwrap(),
        seq: 0.try_into().unwrap(),
    };
    let register = async |byte| {
        let signed = registration(&key(byte), owner, 1);
        let (status, _): (_, Device) = rig.post("/v1/devices", &signed).await;
        assert_eq!(status.as_u16(), 201, "{byte}");
    };
    for byte in 1..=10 {
        register(byte).await;
        let accepted = positions.accept(key(byte).device_id(), &detections, first, None);
        accepted.unwrap();
    }
    rig.open_feed(&key(1), "gate", owner);
    for (goes, next, is_forgotten) in [(1, 11, false), (2, 12, true)] {
        let device = key(goes).device_id();
        let path = format!("/v1/devices/{device}");
        let removed = rig.send(rig.bearer(Method::DELETE, &path, owner)).await;
        assert_eq!(removed.status().as_u16(), 204);
        if next == 11 {
            // As long as the ledger is not read to its end, any device may be sold.
            let signed = registration(&key(next), owner, 1);
            let (_, problem): (_, Problem) = rig.post("/v1/devices", &signed).await;
            assert_eq!(problem.code, "registry-full");
            rig.see_head(BASE);
        }
        register(next).await;
        let kept = positions.last(device, &detections);
        assert_eq!(kept.is_none(), is_forgotten, "{goes}");
    }
}

#[tokio::test]
async fn a_stream_is_named_once() {
    let rig = Rig::new();
    let (device, mut signed) = (key(7), registration(&key(7), Address::ZERO, 1));
    let stream = signed.registration.streams[0].clone();
    signed.registration.streams.push(stream);
    signed.signature = device.sign(&DOMAIN.device_registration(&signed.registration));
    let (status, problem): (_, Problem) = rig.post("/v1/devices", &signed).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (400, "registration-invalid")
    );
    assert!(problem.detail.contains("detections"), "{}", problem.detail);
}

#[tokio::test]
async fn a_change_of_what_somebody_else_has_changed_meanwhile_is_refused() {
    let rig = Rig::new();
    let key = key(7);
    let owner = Address::new([4; 20]);
    let path = format!("/v1/devices/{}", key.device_id());
    let (_, _): (_, Device) = rig.post("/v1/devices", &registration(&key, owner, 1)).await;
    let tag = async || {
        let read = rig.send(request(Method::GET, &path, Body::empty())).await;
        read.headers()[http::header::ETAG].clone()
    };
    let put = async |revision, tag: Option<&http::HeaderValue>| {
        let body = json(&registration(&key, owner, revision));
        let mut request = request(Method::PUT, &path, body);
        if let Some(tag) = tag {
            request
                .headers_mut()
                .insert(http::header::IF_MATCH, tag.clone());
        }
        rig.send(request).await
    };
    let old = tag().await;
    assert_eq!(put(2, Some(&old)).await.status(), StatusCode::OK);
    let refused = put(3, Some(&old)).await;
    let (status, problem): (_, Problem) = read(refused).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(problem.code, "changed-meanwhile");
    assert_eq!(put(3, Some(&tag().await)).await.status(), StatusCode::OK);
    assert_eq!(put(4, None).await.status(), StatusCode::OK);

    let delete = async |wallet, tag: &http::HeaderValue| {
        let mut request = rig.bearer(Method::DELETE, &path, wallet);
        let headers = request.headers_mut();
        headers.insert(http::header::IF_MATCH, tag.clone());
        rig.send(request).await.status()
    };
    // Who may not change it at all is told that first.
    let stranger = Address::new([5; 20]);
    assert_eq!(delete(stranger, &old).await, StatusCode::FORBIDDEN);
    assert_eq!(delete(owner, &old).await, StatusCode::PRECONDITION_FAILED);
    let new = tag().await;
    assert_eq!(delete(owner, &new).await, StatusCode::NO_CONTENT);
    // What is not there has no tag.
    assert_eq!(
        put(5, Some(&new)).await.status(),
        StatusCode::PRECONDITION_FAILED
    );
}

#[tokio::test]
async fn who_is_not_listed_sells_nothing_here() {
    let (device, stranger) = (key(7), key(8).address());
    for (owners, code) in [
        (vec![Address::new([4; 20])], "not-listed"),
        // The signature is asked about next, at a node that is not there.
        (vec![Address::new([4; 20]), stranger], "chain-unavailable"),
    ] {
        let policy = RegistrationPolicy::Listed {
            owners: owners.into_iter().collect(),
            devices: BTreeSet::new(),
        };
        let rig = Rig::with_policy(policy);
        rig.see_head(BASE + 100);
        let feed = rig.open_feed(&device, "gate", stranger);
        let document = listing(&device, &["detections"])
            .to_canonical_json()
            .unwrap();
        let hash = Listing::hash_of(&document);
        rig.state.index.apply(&[LedgerEvent::FeedSet {
            feed,
            device: device.device_id(),
            price: Wei::new(5),
            payout: stranger,
            pauser: Address::ZERO,
            listing: hash,
        }]);
        let signed = SignedListing {
            document,
            signature: device.sign(&DOMAIN.feed_listing(feed, hash)),
        };
        let path = format!("/v1/feeds/{feed}/listing");
        let answer = rig.send(request(Method::PUT, &path, json(&signed))).await;
        let (_, problem): (_, Problem) = read(answer).await;
        assert_eq!(problem.code, code);
    }
}
