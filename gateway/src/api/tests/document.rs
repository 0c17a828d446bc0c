//! The OpenAPI document says what the router does.

use serde_json::Value;

use super::*;

#[tokio::test]
async fn the_document_names_the_routes_and_the_routes_are_there() {
    let rig = Rig::new();
    let (status, document): (_, Value) = rig.get("/v1/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            let real = path.replace("{id}", &format!("0x{}", "11".repeat(20)));
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let response = rig.send(request(verb, &real, Body::empty())).await;
            let status = response.status();
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            if status == StatusCode::NOT_FOUND {
                let (_, problem): (_, Problem) = read(response).await;
                assert_ne!(problem.code, "route-unknown", "{method} {path}");
            }
            found.push(format!("{method} {path}"));
        }
    }
    // Written down once more, so that a route which comes or goes is seen here.
    let expected = [
        "delete /v1/auth/session",
        "delete /v1/auth/sessions",
        "delete /v1/auth/sessions/{id}",
        "delete /v1/devices/{id}",
        "delete /v1/feeds/{id}/preview",
        "get /v1/auth/sessions",
        "get /v1/chain",
        "get /v1/devices",
        "get /v1/devices/{id}",
        "get /v1/feeds",
        "get /v1/feeds/{id}",
        "get /v1/feeds/{id}/events",
        "get /v1/feeds/{id}/listing",
        "get /v1/feeds/{id}/preview",
        "get /v1/health/live",
        "get /v1/health/ready",
        "get /v1/me/subscriptions",
        "get /v1/openapi.json",
        "get /v1/ws",
        "post /v1/auth/nonce",
        "post /v1/auth/session",
        "post /v1/devices",
        "post /v1/devices/{id}/credentials",
        "put /v1/devices/{id}",
        "put /v1/feeds/{id}/listing",
        "put /v1/feeds/{id}/preview",
    ];
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (_, document): (_, Value) = Rig::new().get("/v1/openapi.json").await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn a_read_that_the_client_has_is_not_sent_again() {
    let rig = Rig::new();
    let first = rig
        .send(request(Method::GET, "/v1/devices", Body::empty()))
        .await;
    let tag = first.headers()[http::header::ETAG].clone();
    let again = |tag: &http::HeaderValue| {
        let mut request = request(Method::GET, "/v1/devices", Body::empty());
        let headers = request.headers_mut();
        headers.insert(http::header::IF_NONE_MATCH, tag.clone());
        request
    };
    let second = rig.send(again(&tag)).await;
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(second.headers()[http::header::ETAG], tag);
    assert!(
        second
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    let signed = registration(&key(1), Address::ZERO, 1);
    let (status, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    assert_eq!(status, StatusCode::CREATED);
    let third = rig.send(again(&tag)).await;
    assert_eq!(third.status(), StatusCode::OK);
    assert_ne!(third.headers()[http::header::ETAG], tag);
}

#[tokio::test]
async fn lists_come_a_page_at_a_time() {
    let rig = Rig::new();
    for byte in 1..=5 {
        let signed = registration(&key(byte), Address::ZERO, 1);
        let (_, _): (_, Device) = rig.post("/v1/devices", &signed).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/devices?limit=2".to_owned());
    loop {
        let (_, page): (_, DeviceList) = rig.get(&path).await;
        assert!(page.devices.len() <= 2);
        seen.extend(page.devices.into_iter().map(|one| one.registration.device));
        let Some(next) = page.next else { break };
        path = format!("/v1/devices?limit=2&after={next}");
    }
    let mut expected: Vec<_> = (1..=5).map(|byte| key(byte).device_id()).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    for bad in ["limit=0", "limit=501", "limit=x", "after=zz"] {
        let (status, _): (_, Problem) = rig.get(&format!("/v1/devices?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_devices_is_all_that_is_taken_of_the_registry() {
    let rig = Rig::new();
    let mut ids = Vec::new();
    for byte in 1..=6 {
        let signed = registration(&key(byte), Address::ZERO, 1);
        let (_, added): (_, Device) = rig.post("/v1/devices", &signed).await;
        ids.push(added.registration.device);
    }
    ids.sort_unstable();
    let registry = &rig.state.registry;
    registry.remove(ids[1]).await.unwrap();
    tokio::task::block_in_place(|| registry.blocked().block(ids[2])).unwrap();
    let left = [ids[0], ids[3], ids[4], ids[5]];
    for (after, count, expected) in [
        (None, 2, &left[..2]),
        (None, 9, &left[..]),
        (Some(ids[0]), 2, &left[1..3]),
        (Some(ids[1]), 1, &left[1..2]),
        (Some(ids[3]), 2, &left[2..]),
        (Some(ids[5]), 2, &left[4..]),
    ] {
        let found = registry.devices_after(after, count).into_iter();
        let found: Vec<_> = found.map(|one| one.device).collect();
        assert_eq!(found, expected, "{count} after {after:?}");
    }
    let (_, page): (_, DeviceList) = rig.get("/v1/devices?limit=4").await;
    assert_eq!((page.devices.len(), page.next), (4, None));
}

#[tokio::test]
async fn feeds_come_a_page_at_a_time_in_the_order_of_their_titles() {
    let rig = Rig::new();
    for (byte, name) in [(1, "Yard"), (2, "attic"), (3, "Gate"), (4, "attic")] {
        rig.open_feed(&key(byte), name, Address::ZERO);
    }
    for (filter, expected) in [
        ("", &["attic", "attic", "Gate", "Yard"][..]),
        ("&q=AT", &["attic", "attic", "Gate"]),
        ("&q=yard", &["Yard"]),
    ] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/feeds?limit=1{filter}{after}");
            let (_, page): (_, FeedList) = rig.get(&path).await;
            assert_eq!(page.feeds.len(), 1, "{path}");
            seen.extend(page.feeds.into_iter().map(|feed| feed.title));
            let Some(next) = page.next else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn requests_have_names_that_problems_show() {
    let rig = Rig::new();
    for (sent, taken) in [("abc-1", true), ("", false), ("a b", false)] {
        let mut request = request(Method::GET, "/v1/nothing", Body::empty());
        let headers = request.headers_mut();
        headers.insert("x-request-id", sent.parse().unwrap());
        let response = rig.send(request).await;
        let name = response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(name == sent, taken, "{sent:?}");
        let (_, problem): (_, Problem) = read(response).await;
        assert_eq!(problem.request_id, Some(name));
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let rig = Rig::new();
    let mut codes = Vec::new();
    for _ in 0..=100 {
        let request = request(Method::POST, "/v1/auth/nonce", Body::empty());
        let response = rig.send(request).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait = &response.headers()[http::header::RETRY_AFTER];
            assert!(wait.to_str().unwrap().parse::<u64>().unwrap() >= 1);
            let (_, problem): (_, Problem) = read(response).await;
            codes.push(problem.code);
        }
    }
    assert_eq!(codes, ["rate-limited"]);
}

#[tokio::test]
async fn no_part_of_a_shape_forbids_the_others() {
    let (_, document): (_, Value) = Rig::new().get("/v1/openapi.json").await;
    let shapes = document["components"]["schemas"].as_object().unwrap();
    let parts = shapes
        .values()
        .filter_map(|shape| shape["allOf"].as_array());
    let parts: Vec<_> = parts.flatten().collect();
    assert!(!parts.is_empty());
    for part in parts {
        let pointer = part["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        let part = pointer.map_or(part, |to| document.pointer(to).unwrap());
        assert!(part["additionalProperties"].is_null(), "{part}");
    }
    // What is sent is still read to the letter.
    assert_eq!(shapes["Registration"]["additionalProperties"], false);
}
