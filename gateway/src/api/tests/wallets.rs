//! Feeds, sign-in and what a wallet may ask.

use super::*;

#[tokio::test]
async fn feeds_are_listed_and_searched() {
    let rig = Rig::new();
    let owner = key(8).address();
    let gate = rig.open_feed(&key(7), "North gate", owner);
    let yard = rig.open_feed(&key(6), "Yard", owner);
    let device = key(6).device_id();
    for (query, expected) in [
        (String::new(), vec![gate, yard]),
        ("?q=gate".into(), vec![gate]),
        ("?q=GATE%20north".into(), vec![gate]),
        ("?q=south".into(), vec![]),
        (format!("?q={owner}"), vec![gate, yard]),
        (format!("?device={device}"), vec![yard]),
        (format!("?device={device}&q=gate"), vec![]),
    ] {
        let (_, list): (_, FeedList) = rig.get(&format!("/v1/feeds{query}")).await;
        let ids: Vec<FeedId> = list.feeds.iter().map(|feed| feed.id).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let (_, feed): (_, Feed) = rig.get(&format!("/v1/feeds/{gate}")).await;
    assert_eq!((feed.title.as_str(), feed.streams.len()), ("North gate", 0));
    assert_eq!(feed.state, FeedState::Open);
    let (status, problem): (_, Problem) = rig.get(&format!("/v1/feeds/{gate}/listing")).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (404, "listing-missing")
    );
}

#[tokio::test]
async fn a_feed_says_who_paused_it_and_since_when() {
    let rig = Rig::new();
    let (owner, pauser) = (key(8).address(), key(9).address());
    let id = rig.open_feed(&key(7), "Gate", owner);
    for (state, pause, retires_at) in [
        (FeedState::Open, None, None),
        (FeedState::Paused, Some((BASE + 50, pauser)), None),
        (FeedState::Open, None, None),
        (FeedState::Paused, Some((BASE + 90, owner)), None),
        (FeedState::Retired, Some((BASE + 90, owner)), Some(3_600)),
        (FeedState::Retired, None, Some(3_600)),
    ] {
        let clock = ClockChange {
            paused_at: pause.map(|(since, _)| since),
            paused_total: 0,
            paused_by: pause.map(|(_, who)| who),
            retires_at,
        };
        rig.state
            .index
            .apply(&[LedgerEvent::FeedClock { feed: id, clock }]);
        let (_, feed): (_, Feed) = rig.get(&format!("/v1/feeds/{id}")).await;
        assert_eq!(feed.state, state);
        assert_eq!(feed.paused_at.zip(feed.paused_by), pause);
        let (_, list): (_, FeedList) = rig.get("/v1/feeds").await;
        assert_eq!(list.feeds, [feed]);
    }
    let (_, feed): (_, serde_json::Value) = rig.get(&format!("/v1/feeds/{id}")).await;
    assert!(feed["pausedAt"].is_null() && feed["pausedBy"].is_null());
    assert_eq!(feed.as_object().unwrap().len(), 13, "null, not left out");
}

#[tokio::test]
async fn my_subscriptions_need_a_current_chain() {
    let rig = Rig::new();
    let wallet = key(5).address();
    let feed = rig.open_feed(&key(7), "Gate", key(8).address());
    let set = LedgerEvent::SubscriptionSet {
        feed,
        beneficiary: wallet,
        payer: wallet,
        price: Wei::new(5),
        start: 10,
        expiry: 100,
    };
    rig.state.index.apply([&set]);
    let path = "/v1/me/subscriptions";
    let (status, problem): (_, Problem) =
        read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (503, "chain-unavailable")
    );
    for (time, live, expires_at) in [
        (BASE + 50, true, Some(BASE + 100)),
        (BASE + 100, false, None),
    ] {
        rig.see_head(time);
        let (_, list): (_, SubscriptionList) =
            read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
        let one = &list.subscriptions[0];
        assert_eq!(
            (one.live, one.expires_at, one.expiry),
            (live, expires_at, 100),
            "at {time}"
        );
    }
    let paused = LedgerEvent::FeedClock {
        feed,
        clock: ClockChange {
            paused_at: Some(BASE + 50),
            paused_total: 0,
            paused_by: None,
            retires_at: None,
        },
    };
    rig.state.index.apply([&paused]);
    let (_, list): (_, SubscriptionList) =
        read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
    assert!(list.subscriptions[0].live && list.subscriptions[0].expires_at.is_none());
    assert!(!list.subscriptions[0].is_final, "the chain has not told");
    for (number, is_final) in [(0, false), (1, true)] {
        let timestamp = BASE + number;
        rig.state
            .chain
            .finalized(ashya_protocol::rest::Head { number, timestamp });
        let (_, list): (_, SubscriptionList) =
            read(rig.send(rig.bearer(Method::GET, path, wallet)).await).await;
        let one = &list.subscriptions[0];
        assert_eq!((one.block, one.is_final), (1, is_final));
    }
    let (status, _): (_, serde_json::Value) = rig.get("/v1/health/ready").await;
    assert_eq!(status.as_u16(), 200);
}

#[tokio::test]
async fn signing_in_without_a_node_is_refused_and_keeps_the_nonce() {
    let rig = Rig::new();
    let (_, Nonce { nonce }) = rig.post("/v1/auth/nonce", &()).await;
    let wallet = key(5);
    let text = |domain: &str, chain: u64| {
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{}\n\nSign in to Ashya\n\n\
             URI: http://{domain}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n\
             Issued At: 2026-01-01T00:00:00Z",
            wallet.address()
        )
    };
    for (message, signature, status, code) in [
        (text("evil.example", 31_337), "0x00", 403, "siwe-domain"),
        (text("127.0.0.1:8080", 1), "0x00", 403, "siwe-chain"),
        (
            text("127.0.0.1:8080", 31_337),
            "0x",
            400,
            "signature-malformed",
        ),
        (
            text("127.0.0.1:8080", 31_337),
            "nonsense",
            400,
            "signature-malformed",
        ),
        (
            text("127.0.0.1:8080", 31_337),
            "0x00",
            503,
            "chain-unavailable",
        ),
    ] {
        let body = serde_json::json!({ "message": message, "signature": signature });
        let (found, problem): (_, Problem) = rig.post("/v1/auth/session", &body).await;
        assert_eq!((found.as_u16(), problem.code.as_str()), (status, code));
    }
    assert!(
        rig.state.nonces.check(&nonce).is_ok(),
        "a failed sign-in does not spend the nonce"
    );
}

#[tokio::test]
async fn tokens_are_read_from_the_header_alone() {
    let rig = Rig::new();
    rig.see_head(BASE);
    let token = rig.state.sessions.issue(key(5).address()).token;
    let path = format!("/v1/me/subscriptions?token={token}");
    let (status, _): (_, Problem) = rig.get(&path).await;
    assert_eq!(status.as_u16(), 401);
    let mut forged = rig.bearer(Method::GET, "/v1/me/subscriptions", key(5).address());
    let other = Sessions::for_tests(&[0; 32], Duration::from_secs(60)).issue(key(5).address());
    let value = format!("Bearer {}", other.token).parse().unwrap();
    forged
        .headers_mut()
        .insert(http::header::AUTHORIZATION, value);
    let (status, _): (_, Problem) = read(rig.send(forged).await).await;
    assert_eq!(status.as_u16(), 401);
}
