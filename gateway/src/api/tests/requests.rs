//! What holds for every request: problem documents, limits, headers.

use super::*;

#[tokio::test]
async fn every_failure_is_a_problem_document() {
    let rig = Rig::new();
    let id = key(7).device_id();
    let feed = FeedId::new([1; 32]);
    let huge = "x".repeat(MAX_REST_BODY_BYTES + 1);
    let registration = serde_json::to_string(&registration(&key(7), Address::ZERO, 1)).unwrap();
    let post = Method::POST;
    let get = Method::GET;
    for (method, path, body, status, code) in [
        (&get, "/v1/nothing".to_owned(), "", 404, "route-unknown"),
        (&get, "/v1".into(), "", 404, "route-unknown"),
        (&post, "/v1/nothing".into(), "", 404, "route-unknown"),
        (
            &Method::DELETE,
            "/v1/chain".into(),
            "",
            405,
            "method-not-allowed",
        ),
        (&post, "/index.html".into(), "", 405, "method-not-allowed"),
        (&post, "/v1/devices".into(), "", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "{", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "{}", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "[]", 400, "body-malformed"),
        (&post, "/v1/devices".into(), "\u{0}", 400, "body-malformed"),
        (&post, "/v1/devices".into(), &huge, 413, "body-too-large"),
        (
            &Method::PUT,
            format!("/v1/feeds/{feed}/listing"),
            &huge,
            413,
            "body-too-large",
        ),
        (&get, "/v1/devices/0x12".into(), "", 400, "id-malformed"),
        (&get, "/v1/devices/%FF".into(), "", 400, "id-malformed"),
        (&get, format!("/v1/devices/{id}"), "", 404, "device-unknown"),
        (&get, "/v1/feeds/0x12".into(), "", 400, "id-malformed"),
        (&get, format!("/v1/feeds/{feed}"), "", 404, "feed-unknown"),
        (
            &get,
            format!("/v1/feeds/{feed}/listing"),
            "",
            404,
            "feed-unknown",
        ),
        (
            &get,
            "/v1/feeds?device=me".into(),
            "",
            400,
            "query-malformed",
        ),
        (&get, "/v1/me/subscriptions".into(), "", 401, "unauthorized"),
        (
            &Method::DELETE,
            format!("/v1/devices/{id}"),
            "",
            401,
            "unauthorized",
        ),
        (
            &Method::PUT,
            format!("/v1/devices/{}", key(8).device_id()),
            &registration,
            400,
            "device-mismatch",
        ),
        (
            &get,
            "/v1/health/ready".into(),
            "",
            503,
            "chain-unavailable",
        ),
        (
            &post,
            "/v1/auth/session".into(),
            r#"{"message":"hello","signature":"0x00"}"#,
            400,
            "siwe-malformed",
        ),
    ] {
        let response = rig
            .send(request(method.clone(), &path, Body::from(body.to_owned())))
            .await;
        let kind = response.headers()[CONTENT_TYPE].clone();
        let (found, problem): (_, Problem) = read(response).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(
            problem.code, code,
            "{method} {path} {shown}: {}",
            problem.detail
        );
        assert_eq!(
            (found.as_u16(), problem.status),
            (status, status),
            "{method} {path}"
        );
        assert_eq!(kind, "application/problem+json", "{method} {path}");
        assert!(!problem.detail.is_empty() && problem.kind == "about:blank");
    }
}

#[tokio::test]
async fn a_body_that_grows_beyond_the_limit_is_refused_too() {
    let rig = Rig::new();
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let response = rig.send(request(Method::POST, "/v1/devices", body)).await;
    assert_eq!(response.headers()[CONNECTION], "close");
    let (status, problem): (_, Problem) = read(response).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (413, "body-too-large")
    );
}

#[tokio::test]
async fn a_wrong_content_type_is_named() {
    let rig = Rig::new();
    let mut request = request(Method::POST, "/v1/devices", Body::from("{}"));
    request
        .headers_mut()
        .insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    let (status, problem): (_, Problem) = read(rig.send(request).await).await;
    assert_eq!(
        (status.as_u16(), problem.code.as_str()),
        (415, "content-type")
    );
}

#[tokio::test]
async fn answers_carry_the_security_headers() {
    let rig = Rig::new();
    for path in ["/", "/v1/chain", "/v1/nothing", "/feeds/7"] {
        let response = rig.send(request(Method::GET, path, Body::empty())).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "script-src 'self';",
            "connect-src 'self' http://127.0.0.1:8545;",
            "img-src 'self' blob: data:;",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-request-id").len(), 16);
    }
}

#[tokio::test]
async fn the_page_answers_for_its_own_views_only() {
    let rig = Rig::new();
    for (path, status) in [
        ("/", 200),
        ("/index.html", 200),
        ("/feeds/7", 200),
        ("/x.js", 404),
    ] {
        let response = rig.send(request(Method::GET, path, Body::empty())).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let kind = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            kind.starts_with("text/html"),
            status == 200,
            "{path}: {kind}"
        );
    }
    let first = rig.send(request(Method::GET, "/", Body::empty())).await;
    let mut again = request(Method::GET, "/", Body::empty());
    again
        .headers_mut()
        .insert("if-none-match", first.headers()["etag"].clone());
    assert_eq!(rig.send(again).await.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn metrics_show_every_reason_from_the_start() {
    let metrics = Metrics::new();
    metrics.rejected(crate::metrics::Rejection::Signature);
    let routes = metrics_router(metrics);
    let asked = request(Method::GET, "/metrics", Body::empty());
    let response = routes.oneshot(asked).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for line in [
        "ashya_events_rejected_total{reason=\"signature\"} 1",
        "ashya_events_rejected_total{reason=\"too-large\"} 0",
        "ashya_events_accepted_total 0",
        "ashya_events_delivered_total 0",
        "ashya_events_dropped_total{reason=\"slow\"} 0",
        "ashya_sockets 0",
        "ashya_chain_head_number 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} not in\n{text}"
        );
    }
}
