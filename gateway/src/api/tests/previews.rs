//! Previews: off until the owner asks, then old enough.

use std::collections::HashSet;
use std::sync::Arc;

use ashya_protocol::rest::PreviewSetting;
use ashya_protocol::{Event, Listing, ListingStream, Position};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};

use super::*;
use crate::ledger_index::ListingDocument;

const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture";

/// What a feed of that device says that it sells.
pub(super) fn listing(key: &DeviceKey, streams: &[&str]) -> Listing {
    Listing {
        description: String::new(),
        device: key.device_id(),
        name: "gate".parse().unwrap(),
        outage_seconds: None,
        privacy: String::new(),
        streams: streams
            .iter()
            .map(|name| ListingStream {
                events_per_minute: 60,
                name: name.parse().unwrap(),
            })
            .collect(),
        title: "Gate".into(),
    }
}

/// A feed that sells these streams.
fn selling(rig: &Rig, key: &DeviceKey, owner: Address, streams: &[&str]) -> FeedId {
    let feed = rig.open_feed(key, "gate", owner);
    let listing = listing(key, streams);
    let text = listing.to_canonical_json().unwrap();
    let document = ListingDocument {
        // The rig's feeds name this one.
        hash: Hash::new([1; 32]),
        text,
        listing,
    };
    rig.state.index.set_document(feed, Arc::new(document));
    feed
}

/// Lets the device publish something on a stream.
fn publish(rig: &Rig, key: &DeviceKey, stream: &str, content_type: &str, payload: &[u8]) {
    let event = Event {
        device: key.device_id(),
        stream: stream.parse().unwrap(),
        position: Position {
            boot: 1.try_into().unwrap(),
            seq: 1.try_into().unwrap(),
        },
        time_us: 0.try_into().unwrap(),
        content_type: content_type.parse().unwrap(),
        payload: payload.into(),
    };
    let now = tokio::time::Instant::now();
    let unix = rig.state.clock.now_seconds();
    rig.state.previews.see(&event, &rig.state.index, now, unix);
}

async fn put(rig: &Rig, feed: FeedId, wallet: Address, delay: u64) -> (StatusCode, String) {
    let path = format!("/v1/feeds/{feed}/preview");
    let mut request = rig.bearer(Method::PUT, &path, wallet);
    *request.body_mut() = Body::from(format!(r#"{{"delaySeconds":{delay}}}"#));
    code_of(rig.send(request).await).await
}

async fn code_of(response: Response) -> (StatusCode, String) {
    if response.status().is_success() {
        return (response.status(), String::new());
    }
    let (status, problem): (_, Problem) = read(response).await;
    (status, problem.code)
}

async fn get(rig: &Rig, feed: FeedId) -> Response {
    let path = format!("/v1/feeds/{feed}/preview");
    rig.send(request(Method::GET, &path, Body::empty())).await
}

async fn code(rig: &Rig, feed: FeedId) -> String {
    code_of(get(rig, feed).await).await.1
}

#[tokio::test]
async fn nothing_is_shown_until_the_owner_asks_and_a_picture_is_old_enough() {
    let rig = Rig::new();
    let (camera, owner) = (key(7), Address::new([4; 20]));
    let signed = registration(&camera, owner, 1);
    let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    rig.see_head(BASE + 100);
    let feed = selling(&rig, &camera, owner, &["detections", "frames"]);
    publish(&rig, &camera, "frames", "image/jpeg", PICTURE);
    assert_eq!(code(&rig, feed).await, "preview-off");
    assert_eq!(put(&rig, feed, owner, 60).await.0, StatusCode::NO_CONTENT);
    assert_eq!(code(&rig, feed).await, "preview-none", "from before");

    tokio::time::pause();
    for (stream, content_type, payload) in [
        ("detections", "image/jpeg", PICTURE),
        ("frames", "image/png", PICTURE),
        ("frames", "image/jpeg", b"<script>"),
        (
            "frames",
            "image/jpeg",
            &[&PICTURE[..4], &[0; 300_000]].concat(),
        ),
    ] {
        publish(&rig, &camera, stream, content_type, payload);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(
            code(&rig, feed).await,
            "preview-none",
            "{stream} {content_type}"
        );
    }
    publish(&rig, &camera, "frames", "image/jpeg", PICTURE);
    tokio::time::advance(Duration::from_secs(59)).await;
    publish(
        &rig,
        &camera,
        "frames",
        "image/jpeg",
        b"\xff\xd8\xff a newer one",
    );
    assert_eq!(code(&rig, feed).await, "preview-none");
    tokio::time::advance(Duration::from_secs(1)).await;
    let shown = get(&rig, feed).await;
    assert_eq!(shown.headers()[CONTENT_TYPE], "image/jpeg");
    assert!(
        shown.headers()[CACHE_CONTROL]
            .to_str()
            .unwrap()
            .starts_with("public")
    );
    let tag = shown.headers()[ETAG].clone();
    let bytes = shown.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes, PICTURE);
    let mut again = request(
        Method::GET,
        &format!("/v1/feeds/{feed}/preview"),
        Body::empty(),
    );
    again.headers_mut().insert(IF_NONE_MATCH, tag);
    assert_eq!(rig.send(again).await.status(), StatusCode::NOT_MODIFIED);

    // The disk takes real time, and time has passed for the chain too.
    tokio::time::resume();
    rig.see_head(BASE + 1_000);
    let hide = rig.bearer(Method::DELETE, &format!("/v1/feeds/{feed}/preview"), owner);
    assert_eq!(rig.send(hide).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(code(&rig, feed).await, "preview-off");
}

#[tokio::test]
async fn only_the_owner_says_what_is_shown_and_only_of_their_own_time() {
    let rig = Rig::new();
    let (camera, owner, buyer) = (key(7), Address::new([4; 20]), Address::new([5; 20]));
    let signed = registration(&camera, owner, 1);
    let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    let feed = selling(&rig, &camera, owner, &["frames"]);
    let no_head = put(&rig, feed, owner, 60).await;
    assert_eq!(no_head.1, "chain-unavailable");
    rig.see_head(BASE + 100);
    for (name, wallet, delay, code) in [
        ("a stranger", buyer, 60, "owner-required"),
        ("too fresh", owner, 59, "preview-delay"),
        ("too old", owner, 86_401, "preview-delay"),
        ("the owner", owner, 60, ""),
    ] {
        assert_eq!(put(&rig, feed, wallet, delay).await.1, code, "{name}");
    }
    tokio::time::pause();
    publish(&rig, &camera, "frames", "image/jpeg", PICTURE);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(code(&rig, feed).await, "");
    // A longer delay counts from now on.
    tokio::time::resume();
    rig.see_head(BASE + 200);
    assert_eq!(put(&rig, feed, owner, 3_600).await.1, "");
    assert_eq!(code(&rig, feed).await, "preview-none");
    tokio::time::pause();
    publish(&rig, &camera, "frames", "image/jpeg", PICTURE);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(code(&rig, feed).await, "");
    tokio::time::resume();
    // What an owner asked for is not the next one's wish.
    rig.state.index.apply(&[LedgerEvent::FeedTransferred {
        feed,
        from: owner,
        to: buyer,
    }]);
    rig.see_head(BASE + 4_000);
    assert_eq!(code(&rig, feed).await, "preview-off");
    assert_eq!(put(&rig, feed, owner, 60).await.1, "owner-required");
}

#[tokio::test]
async fn a_feed_without_pictures_has_no_preview() {
    let rig = Rig::new();
    let (camera, owner) = (key(7), Address::new([4; 20]));
    rig.see_head(BASE + 100);
    let feed = selling(&rig, &camera, owner, &["detections"]);
    assert_eq!(put(&rig, feed, owner, 60).await.1, "preview-no-frames");
    assert_eq!(code(&rig, FeedId::new([3; 32])).await, "feed-unknown");
}

#[tokio::test]
async fn what_the_owner_asked_for_is_on_the_disk() {
    let rig = Rig::new();
    let (camera, owner) = (key(7), Address::new([4; 20]));
    rig.see_head(BASE + 100);
    let feed = selling(&rig, &camera, owner, &["frames"]);
    put(&rig, feed, owner, 60).await;
    let view = rig.state.index.feed(feed).unwrap();
    let again = Previews::load(rig.state.store.clone()).unwrap();
    let now = tokio::time::Instant::now();
    assert!(matches!(
        again.of(&view, now, rig.state.clock.now_seconds()),
        crate::previews::Shown::NotYet
    ));
}

/// Stops or starts the clock of a feed.
fn set_clock(rig: &Rig, feed: FeedId, paused_at: Option<u64>) {
    change_clock(rig, feed, paused_at, None);
}

fn change_clock(rig: &Rig, feed: FeedId, paused_at: Option<u64>, retires_at: Option<u64>) {
    rig.state.index.apply(&[LedgerEvent::FeedClock {
        feed,
        clock: ClockChange {
            paused_at,
            paused_total: 0,
            paused_by: None,
            retires_at,
        },
    }]);
}

#[tokio::test]
async fn a_pause_another_device_and_another_owner_show_nothing() {
    let rig = Rig::new();
    let (camera, owner, other) = (key(7), Address::new([4; 20]), Address::new([5; 20]));
    let signed = registration(&camera, owner, 1);
    let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    let feed = selling(&rig, &camera, owner, &["frames"]);
    let setting = PreviewSetting { delay_seconds: 60 };
    rig.state.previews.show(feed, owner, setting).await.unwrap();
    tokio::time::pause();
    let ripen = || tokio::time::advance(Duration::from_secs(60));
    let shot = || publish(&rig, &camera, "frames", "image/jpeg", PICTURE);

    set_clock(&rig, feed, Some(BASE));
    shot();
    ripen().await;
    set_clock(&rig, feed, None);
    assert_eq!(code(&rig, feed).await, "preview-none", "taken in a pause");
    shot();
    ripen().await;
    assert_eq!(code(&rig, feed).await, "");
    set_clock(&rig, feed, Some(BASE));
    assert_eq!(code(&rig, feed).await, "preview-none", "paused");
    set_clock(&rig, feed, None);
    assert_eq!(code(&rig, feed).await, "", "of before the pause");

    rig.see_head(BASE + 100);
    change_clock(&rig, feed, None, Some(100));
    assert_eq!(code(&rig, feed).await, "preview-none", "retired");
    shot();
    ripen().await;
    assert_eq!(code(&rig, feed).await, "preview-none", "of after its end");
    set_clock(&rig, feed, None);
    assert_eq!(
        code(&rig, feed).await,
        "",
        "of before a retirement that was undone"
    );

    let transfer = |from, to| {
        let moved = LedgerEvent::FeedTransferred { feed, from, to };
        rig.state.index.apply(&[moved]);
    };
    transfer(owner, other);
    shot();
    ripen().await;
    transfer(other, owner);
    assert_eq!(code(&rig, feed).await, "preview-none", "of another owner");

    shot();
    ripen().await;
    assert_eq!(code(&rig, feed).await, "");
    tokio::time::resume();
    let signed = registration(&key(8), owner, 1);
    let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    rig.state.index.apply(&[LedgerEvent::FeedSet {
        feed,
        device: key(8).device_id(),
        price: Wei::new(5),
        payout: owner,
        pauser: Address::ZERO,
        listing: Hash::new([1; 32]),
    }]);
    assert_eq!(code(&rig, feed).await, "preview-none", "another device");
}

#[tokio::test]
async fn pictures_have_a_bound_together() {
    const LARGEST: usize = 256 * 1024;
    const MOST: usize = 512;
    let rig = Rig::new();
    let (camera, owner) = (key(7), Address::new([4; 20]));
    rig.see_head(BASE + 100);
    let setting = PreviewSetting { delay_seconds: 60 };
    let picture = [&PICTURE[..4], &[0; LARGEST - 4]].concat();
    let mut feeds = Vec::new();
    for number in 0..MOST + 2 {
        let feed = rig.open_feed(&camera, &format!("gate-{number}"), owner);
        rig.state.previews.show(feed, owner, setting).await.unwrap();
        // The feeds before it have a picture that waits, but for those that had to make room.
        publish(&rig, &camera, "frames", "image/jpeg", &picture);
        feeds.push(rig.state.index.feed(feed).unwrap());
    }
    let unix = rig.state.clock.now_seconds();
    let later = tokio::time::Instant::now() + Duration::from_secs(60);
    let shown = |view| match rig.state.previews.of(view, later, unix) {
        crate::previews::Shown::Still(still) => Some(still.jpeg.as_ptr()),
        crate::previews::Shown::Off | crate::previews::Shown::NotYet => None,
    };
    let shown: Vec<_> = feeds.iter().map(shown).collect();
    let pictures: HashSet<_> = shown.iter().flatten().collect();
    assert_eq!(pictures.len(), MOST);
    // The first feed made room for the last but one, and took the last picture, for which the second made room.
    assert_eq!(shown[0], shown[MOST + 1]);
    assert!(shown[1].is_none() && shown[2..].iter().all(Option::is_some));

    // Another device has its picture nevertheless, and keeps it.
    let another = key(8);
    let feed = rig.open_feed(&another, "yard", owner);
    rig.state.previews.show(feed, owner, setting).await.unwrap();
    publish(&rig, &another, "frames", "image/jpeg", &picture);
    for _ in 0..2 * MOST {
        publish(&rig, &camera, "frames", "image/jpeg", &picture);
    }
    let feed = rig.state.index.feed(feed).unwrap();
    let even_later = later + 2 * Duration::from_secs(60);
    let shown = rig.state.previews.of(&feed, even_later, unix);
    assert!(matches!(shown, crate::previews::Shown::Still(_)));
}
