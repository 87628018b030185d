//! Who may see a stream, and the tickets to a private one.

use super::*;

async fn with_show(visibility: &str) -> Bed {
    let bed = Bed::new().await;
    let show = json!({ "name": "show", "title": "Evening", "visibility": visibility });
    let (status, made) = bed.ask("POST", "/api/v1/streams", Some(show)).await;
    assert_eq!((status, &made["visibility"]), (StatusCode::CREATED, &json!(visibility)), "{made}");
    bed
}

async fn set(bed: &Bed, visibility: &str) {
    let (status, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "visibility": visibility }))).await;
    assert_eq!((status, &set["visibility"]), (StatusCode::OK, &json!(visibility)), "{set}");
}

/// What a stranger gets.
async fn get(bed: &Bed, path: &str) -> (u16, Value) {
    let (status, body) = bed.ask_as(None, "GET", path, None).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn a_stream_is_listed_only_while_it_is_public() {
    let bed = with_show("public").await;
    for (visibility, listed, shown) in
        [("public", 1, 200), ("unlisted", 0, 200), ("private", 0, 404), ("public", 1, 200)]
    {
        set(&bed, visibility).await;
        let (_, list) = get(&bed, "/api/v1/live").await;
        let (status, one) = get(&bed, "/api/v1/live/show").await;
        assert_eq!((list["streams"].as_array().unwrap().len(), status), (listed, shown), "{visibility}: {list} {one}");
        let (_, own) = bed.ask("GET", "/api/v1/streams/show", None).await;
        assert_eq!((&own["visibility"], &own["live"]["name"]), (&json!(visibility), &json!("show")));
    }
    let (status, refused) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "visibility": "secret" }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
}

#[tokio::test]
async fn a_private_stream_answers_as_one_that_is_not_there() {
    let bed = with_show("private").await;
    assert_eq!(get(&bed, "/api/v1/live/show").await, get(&bed, "/api/v1/live/nobody").await);
    for name in ["show", "nobody"] {
        let (status, why) = get(&bed, &format!("/api/v1/live/{name}?ticket=nonsense")).await;
        assert_eq!((status, &why["code"]), (403, &json!("ticket_wrong")), "{name}: {why}");
        let beacon = bed.ask_as(None, "POST", &format!("/api/v1/live/{name}/beacon"), Some(json!({}))).await;
        assert_eq!((beacon.0.as_u16(), &beacon.1["code"]), (404, &json!("not_live")), "{name}");
        let page = format!("/oembed?url=http://localhost:8080/watch/{name}");
        assert_eq!(browser(&bed, "GET", &page, &[], "").await.status(), 404, "{name}");
    }
    let (ticket, _) = bed.office.stream_ticket("show", Duration::ZERO);
    let (status, why) = get(&bed, &format!("/api/v1/live/show?ticket={ticket}")).await;
    assert_eq!((status, &why["code"]), (403, &json!("ticket_expired")), "{why}");
    assert!(why["message"].as_str().unwrap().contains("new one"), "{why}");
}

#[tokio::test]
async fn a_ticket_opens_a_private_stream_with_all_its_addresses() {
    let bed = with_show("private").await;
    let (status, made) = bed.ask("POST", "/api/v1/streams/show/tickets", Some(json!({ "lasts_s": 3_600 }))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let ticket = made["ticket"].as_str().unwrap();
    let base = format!("/p/{ticket}");
    assert_eq!(
        (&made["watch"], &made["hls"]),
        (&json!(format!("{base}/watch/show")), &json!(format!("{base}/live/show/index.m3u8")))
    );
    let left_ms = made["expires_ms"].as_i64().unwrap() - now();
    assert!((3_000_000 - 1_000..=3_600_000).contains(&left_ms), "{left_ms}");

    let (status, live) = get(&bed, &format!("/api/v1/live/show?ticket={ticket}&_=1")).await;
    assert_eq!(status, 200, "{live}");
    for (key, path) in [
        ("hls", "live/show/index.m3u8"),
        ("thumb", "live/show/thumb.jpg"),
        ("rewind", "rewind/show/index.m3u8"),
        ("watch", "watch/show"),
    ] {
        assert_eq!(live[key], format!("{base}/{path}"), "{key}");
    }
    let told = bed.ask_as(None, "POST", &format!("/api/v1/live/show/beacon?ticket={ticket}"), Some(json!({}))).await;
    assert_eq!(told.0, StatusCode::NO_CONTENT);
    set(&bed, "unlisted").await;
    let (_, live) = get(&bed, &format!("/api/v1/live/show?ticket={ticket}")).await;
    assert_eq!(live["hls"], "/live/show/index.m3u8", "where no ticket is needed none is handed on");

    for (path, body, status) in [
        ("/api/v1/streams/nobody/tickets", json!({}), 404),
        ("/api/v1/streams/show/tickets", json!({ "lasts_s": 59 }), 400),
        ("/api/v1/streams/show/tickets", json!({ "lasts_s": 21_601 }), 400),
        ("/api/v1/streams/show/tickets", json!({ "for": "ever" }), 422),
    ] {
        assert_eq!(bed.ask("POST", path, Some(body.clone())).await.0.as_u16(), status, "{path} {body}");
    }
}

#[tokio::test]
async fn the_operators_preview_has_a_ticket_that_is_soon_over() {
    let bed = with_show("private").await;
    for path in ["/api/v1/streams", "/api/v1/streams/show"] {
        let (_, own) = bed.ask("GET", path, None).await;
        let live = if own["streams"].is_array() { &own["streams"][0]["live"] } else { &own["live"] };
        let hls = live["hls"].as_str().unwrap();
        let ticket = hls.strip_prefix("/p/").and_then(|rest| rest.strip_suffix("/live/show/index.m3u8")).unwrap();
        assert!(bed.office.may_watch("show", Some(ticket)), "{hls}");
        let lasts = bed.office.lasts(ticket);
        assert!(lasts > Duration::from_secs(480) && lasts <= Duration::from_secs(600), "{lasts:?}");
        assert_eq!(live["thumb"], format!("/p/{ticket}/live/show/thumb.jpg"));
    }
}

#[tokio::test]
async fn rotating_the_keys_counts_when_it_is_answered() {
    let bed = with_show("private").await;
    let (_, made) = bed.ask("POST", "/api/v1/streams/show/tickets", Some(json!({}))).await;
    let path = format!("/api/v1/live/show?ticket={}", made["ticket"].as_str().unwrap());
    for (status, code) in [(200, Value::Null), (403, json!("ticket_struck"))] {
        assert_eq!(bed.ask("POST", "/api/v1/playback-keys/rotate", None).await.0, StatusCode::NO_CONTENT);
        let (answered, live) = get(&bed, &path).await;
        assert_eq!((answered, &live["code"]), (status, &code), "{live}");
    }
}
