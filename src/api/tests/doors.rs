//! Who is let in: the token, a browser that was signed in, a dock.

use super::*;

#[tokio::test]
async fn nothing_is_told_or_changed_without_the_token() {
    let bed = Bed::new().await;
    let routes = [
        ("GET", "/api/v1/streams"),
        ("POST", "/api/v1/streams"),
        ("GET", "/api/v1/streams/show"),
        ("PATCH", "/api/v1/streams/show"),
        ("DELETE", "/api/v1/streams/show"),
        ("POST", "/api/v1/streams/show/rotate-key"),
        ("DELETE", "/api/v1/streams/show/keys/abcdefgh"),
        ("POST", "/api/v1/streams/show/stop"),
        ("POST", "/api/v1/streams/show/allow"),
        ("GET", "/api/v1/audit"),
        ("GET", "/api/v1/server"),
        ("GET", "/api/v1/streams/show/dock"),
        ("GET", "/api/v1/streams/show/stats"),
        ("GET", "/api/v1/streams/show/history"),
        ("GET", "/api/v1/streams/show/log"),
        ("GET", "/api/v1/streams/show/events"),
    ];
    let wrong = ApiToken::generate().unwrap();
    for (method, path) in routes {
        for token in [None, Some(wrong.reveal()), Some("")] {
            let (status, answer) = bed.ask_as(token, method, path, Some(json!({ "name": "show" }))).await;
            assert!(
                matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS),
                "{method} {path}: {status}"
            );
            assert!(answer["code"].is_string() && answer["message"].is_string(), "{answer}");
        }
    }
    assert!(bed.store.streams().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_signed_in_browser_may_do_what_the_token_may_until_it_is_signed_out() {
    let bed = Bed::new().await;
    let cookie = signed_in(&bed).await;
    let cookie = ("cookie", cookie.as_str());
    let add = json!({ "name": "show" }).to_string();
    for (method, path, body, status) in [
        ("GET", "/api/v1/streams", "", StatusCode::OK),
        ("POST", "/api/v1/streams", add.as_str(), StatusCode::CREATED),
        ("DELETE", "/api/v1/session", "", StatusCode::NO_CONTENT),
        ("GET", "/api/v1/streams", "", StatusCode::UNAUTHORIZED),
    ] {
        let answer = browser(&bed, method, path, &[cookie, OWN_PAGE], body).await;
        assert_eq!(answer.status(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn another_sites_page_changes_nothing_with_the_cookie() {
    let bed = Bed::new().await;
    let cookie = signed_in(&bed).await;
    let cookie = ("cookie", cookie.as_str());
    let add = json!({ "name": "show" }).to_string();
    for site in [&[("sec-fetch-site", "cross-site")][..], &[("origin", "https://evil.example")], &[]] {
        let headers = [&[cookie][..], site].concat();
        for (method, path) in [("POST", "/api/v1/streams"), ("DELETE", "/api/v1/session")] {
            let answer = browser(&bed, method, path, &headers, &add).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path} {site:?}");
        }
    }
    assert!(bed.store.streams().await.unwrap().is_empty());
    let origin = ("origin", "http://localhost:8080");
    assert_eq!(browser(&bed, "POST", "/api/v1/streams", &[cookie, origin], &add).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_token_or_a_connection_in_clear_signs_nobody_in() {
    let bed = Bed::new().await;
    let wrong = json!({ "token": ApiToken::generate().unwrap().reveal() }).to_string();
    let answer = browser(&bed, "POST", "/api/v1/session", &[OWN_PAGE], &wrong).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().get(header::SET_COOKIE).is_none());
    let right = json!({ "token": bed.token.reveal() }).to_string();
    let request = |host: &str, method: &str, body: &str| {
        let request = Request::builder().method(method).uri("/api/v1/session").header(header::HOST, host);
        request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_owned())).unwrap()
    };
    let answer = bed.router.clone().oneshot(request("live.example", "POST", &right)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let said: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap();
    assert!(said["message"].as_str().unwrap().contains("https://localhost:8443"), "{said}");
    let answer = bed.router.clone().oneshot(request("live.example", "GET", "")).await.unwrap();
    let said: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap();
    assert_eq!((&said["secure"], &said["signed_in"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn a_docks_token_reads_its_own_stream_and_nothing_else() {
    let bed = Bed::new().await;
    for name in ["show", "other"] {
        bed.ask("POST", "/api/v1/streams", Some(json!({ "name": name }))).await;
    }
    let (_, dock) = bed.ask("GET", "/api/v1/streams/show/dock", None).await;
    let token = dock["path"].as_str().unwrap().strip_prefix("/dock/show?token=").unwrap();
    for (path, status) in [
        ("/api/v1/streams/show/health", StatusCode::OK),
        ("/api/v1/streams/show/stats", StatusCode::OK),
        ("/api/v1/streams/other/health", StatusCode::UNAUTHORIZED),
        ("/api/v1/streams/show/log", StatusCode::UNAUTHORIZED),
        ("/api/v1/streams/show", StatusCode::UNAUTHORIZED),
        ("/api/v1/streams", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(bed.ask_as(Some(token), "GET", path, None).await.0, status, "{path}");
    }
    assert_eq!(bed.ask_as(Some(token), "DELETE", "/api/v1/streams/show", None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn each_route_is_open_to_whom_it_should_be() {
    let bed = Bed::new().await;
    for name in ["show", "other"] {
        bed.ask("POST", "/api/v1/streams", Some(json!({ "name": name }))).await;
    }
    let (_, described) = bed.ask_as(None, "GET", "/api/v1/openapi.json", None).await;
    let (wrong, own, others) = (ApiToken::generate().unwrap(), bed.token.dock("show"), bed.token.dock("other"));
    let is_refused = |status: StatusCode| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    let public = [
        "/api/v1/live",
        "/api/v1/live/{name}",
        "/api/v1/live/{name}/beacon",
        "/api/v1/library",
        "/api/v1/library/{id}",
        "/api/v1/library/{id}/downloads",
        "/api/v1/session",
        "/oembed",
    ];
    let docks = ["health", "stats", "events", "rehearsal", "nginx-rtmp.xml", "srs.json"]
        .map(|last| format!("/api/v1/streams/{{name}}/{last}"));
    let mut guarded = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let address = path.replace("{name}", "show").replace("{id}", "abcdefgh");
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            if public.contains(&path.as_str()) {
                continue;
            }
            guarded += 1;
            for token in [None, Some(wrong.reveal()), Some(others.as_str()), Some("")] {
                let (status, _) = bed.ask_as(token, &method, &address, Some(json!({}))).await;
                assert!(is_refused(status), "{method} {path} with {token:?}: {status}");
            }
            let is_docks = method == "GET" && docks.contains(path);
            let mut request = Request::builder().method(method.as_str()).uri(&address);
            request = request.header(header::AUTHORIZATION, format!("Bearer {own}"));
            let status = bed.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status();
            assert_eq!(status == StatusCode::OK, is_docks, "{method} {path} with the dock's token: {status}");
            assert!(is_docks || is_refused(status), "{method} {path} with the dock's token: {status}");
        }
    }
    assert!(guarded >= 20, "{guarded} routes are guarded");
    assert_eq!(bed.store.streams().await.unwrap().len(), 2, "nothing was changed");
}

#[tokio::test]
async fn who_may_no_longer_follow_is_told_nothing_more() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let cookie = signed_in(&bed).await;
    let cookie = ("cookie", cookie.as_str());
    let answer = browser(&bed, "GET", "/api/v1/streams/show/events", &[cookie], "").await;
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    browser(&bed, "DELETE", "/api/v1/session", &[cookie, OWN_PAGE], "").await;
    let text = told(answer, "stats", 10).await;
    assert!((1..=5).contains(&text.matches("event: stats").count()), "{text}");

    let dock = format!("Bearer {}", bed.token.dock("show"));
    let answer = browser(&bed, "GET", "/api/v1/streams/show/events", &[("authorization", &dock)], "").await;
    bed.ask("DELETE", "/api/v1/streams/show", None).await;
    let text = told(answer, "stats", 10).await;
    assert!((1..=5).contains(&text.matches("event: stats").count()), "{text}");
    assert!(!text.contains("event: log"), "{text}");
}

#[tokio::test]
async fn invented_cookies_cost_their_address_a_budget_and_nobody_else() {
    let bed = Bed::new().await;
    let good = signed_in(&bed).await;
    let good = ("cookie", good.as_str());
    let read = async |headers: &[(&str, &str)]| browser(&bed, "GET", "/api/v1/streams", headers, "").await.status();
    assert_eq!(read(&[good]).await, StatusCode::OK);
    let mut answers = Vec::new();
    for n in 0..80 {
        let made_up = format!("__Host-weir=ws_{}", "a".repeat(54) + &format!("{}{}", (b'a' + n % 26) as char, 'b'));
        answers.push(read(&[("cookie", &made_up)]).await);
    }
    assert_eq!(answers[0], StatusCode::UNAUTHORIZED);
    assert_eq!(answers[79], StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(read(&[good]).await, StatusCode::OK, "a browser that is known is not locked out");
    assert_eq!(bed.ask("GET", "/api/v1/streams", None).await.0, StatusCode::OK, "nor is the token");
}
