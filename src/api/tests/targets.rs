//! Targets over the API: what goes in, what comes out, and what never does.

use super::*;
use futures_util::future::BoxFuture;
use restream::{Checked, TargetUrl};
use std::net::IpAddr;
use store::{MasterKey, Target};

const KEY: &str = "live_hunter2";

/// Copies of a house where every target is live but the ones named `bad`.
pub struct Fixed {
    key: MasterKey,
}

impl Fixed {
    pub fn new() -> Self {
        Self { key: MasterKey::generate().unwrap() }
    }
}

impl Outlets for Fixed {
    fn status(&self, target: &Target) -> TargetStatus {
        let is_bad = target.name == "bad";
        let fault = TargetFault { code: "bad_key", message: "the key was refused".into(), at_ms: 5 };
        TargetStatus {
            state: if is_bad { "refused" } else { "live" },
            since_ms: 1,
            next_try_ms: is_bad.then_some(9),
            bitrate_bps: 2_500_000,
            sent_bytes: 7,
            dropped_units: 0,
            drops: 0,
            connects: 1,
            round_trip_ms: Some(12.5),
            fault: is_bad.then_some(fault),
            advice: vec![("keyframe_interval", "keyframes come late".into())],
        }
    }

    fn check<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Checked, (&'static str, String)>> {
        let key = self.key.open(&target.id, &target.key).unwrap();
        Box::pin(async move {
            match target.name.as_str() {
                "bad" => Err(("connection_refused", format!("nobody listens ({})", key.len()))),
                _ => Ok(Checked { address: "192.0.2.1:1935".parse().ok(), taken: Duration::from_millis(30) }),
            }
        })
    }

    fn inside<'a>(&'a self, url: &'a TargetUrl) -> BoxFuture<'a, Option<(IpAddr, &'static str)>> {
        let inside = url.host() == "intranet";
        Box::pin(async move { inside.then(|| ([10, 0, 0, 7].into(), "a private address")) })
    }

    fn master_key(&self) -> Result<MasterKey, String> {
        Ok(self.key.clone())
    }
}

async fn add(bed: &Bed, body: Value) -> (StatusCode, Value) {
    bed.ask("POST", "/api/v1/streams/show/targets", Some(body)).await
}

#[tokio::test]
async fn a_target_lives_from_its_adding_to_its_removal_and_its_key_never_comes_out() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let (status, made) =
        add(&bed, json!({ "service": "twitch", "ingest": "fra02", "key": KEY, "silence": true })).await;
    assert_eq!((status, made["name"].as_str()), (StatusCode::CREATED, Some("Twitch")));
    assert_eq!(made["url"], "rtmps://fra02.contribute.live-video.net/app");
    assert_eq!((&made["state"], &made["silence"], &made["hevc"]), (&json!("live"), &json!(true), &json!(false)));
    assert_eq!(made["advice"][0]["message"], "Keyframes come late.");
    let path = format!("/api/v1/streams/show/targets/{}", made["id"].as_str().unwrap());

    let (_, stopped) = bed.ask("POST", &format!("{path}/stop"), None).await;
    assert!(stopped["id"] == made["id"] && !bed.store.targets().await.unwrap()[0].wanted);
    bed.ask("POST", &format!("{path}/start"), None).await;
    assert!(bed.store.targets().await.unwrap()[0].wanted);
    let (status, _) = bed.ask("PUT", &format!("{path}/key"), Some(json!({ "key": "live_another" }))).await;
    assert_eq!(status, StatusCode::OK);
    let (_, checked) = bed.ask("POST", &format!("{path}/check"), None).await;
    assert_eq!(
        (&checked["ok"], &checked["address"], &checked["taken_ms"]),
        (&json!(true), &json!("192.0.2.1:1935"), &json!(30.0))
    );

    let (_, listed) = bed.ask("GET", "/api/v1/streams/show/targets", None).await;
    let (_, shown) = bed.ask("GET", &path, None).await;
    assert_eq!(listed["targets"][0], shown);
    assert_eq!(bed.ask("DELETE", &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(bed.ask("GET", &path, None).await.1["code"], "no_such_target");
    let (_, audit) = bed.ask("GET", "/api/v1/audit", None).await;
    for told in [&made, &listed, &audit] {
        assert!(!told.to_string().contains("hunter2") && !told.to_string().contains("live_another"), "{told}");
    }
    assert!(audit.to_string().contains("target.remove"), "{audit}");
}

#[tokio::test]
async fn what_is_wrong_with_a_target_is_a_word_and_a_sentence() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let url = "rtmp://h.example/live";
    let (_, made) = add(&bed, json!({ "url": url, "key": KEY, "name": "bad" })).await;
    assert_eq!((&made["service"], &made["fault"]["code"]), (&json!("custom"), &json!("bad_key")));
    assert_eq!((&made["fault"]["message"], &made["next_try_ms"]), (&json!("The key was refused."), &json!(9)));
    let path = format!("/api/v1/streams/show/targets/{}", made["id"].as_str().unwrap());
    let (status, checked) = bed.ask("POST", &format!("{path}/check"), None).await;
    assert_eq!(
        (status, &checked["ok"], &checked["fault"]["code"]),
        (StatusCode::OK, &json!(false), &json!("connection_refused"))
    );

    for (body, code) in [
        (json!({ "url": url, "key": " " }), "bad_target"),
        (json!({ "url": "http://h/live", "key": KEY }), "bad_target"),
        (json!({ "service": "myspace", "key": KEY }), "bad_target"),
        (json!({ "key": KEY }), "bad_target"),
        (json!({ "url": "rtmp://intranet/live", "key": KEY }), "blocked_address"),
        (json!({ "url": url, "key": KEY, "name": "x".repeat(61), "nmae": 1 }), "bad_body"),
    ] {
        let (status, refused) = add(&bed, body).await;
        assert!(status.is_client_error() && refused["code"] == code, "{code}: {refused}");
        assert!(
            refused["message"].as_str().unwrap().ends_with('.') && !refused.to_string().contains("hunter2"),
            "{refused}"
        );
    }
    let (status, _) = bed.ask("POST", "/api/v1/streams/nobody/targets", Some(json!({ "url": url, "key": KEY }))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // A target is the one stream's it was added to.
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "other" }))).await;
    let elsewhere = path.replace("/show/", "/other/");
    assert_eq!(bed.ask("POST", &format!("{elsewhere}/stop"), None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(bed.ask_as(None, "GET", &path, None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn services_are_told_with_what_they_want() {
    let bed = Bed::new().await;
    let (_, told) = bed.ask("GET", "/api/v1/services", None).await;
    let youtube = told["services"].as_array().unwrap().iter().find(|s| s["id"] == "youtube").unwrap();
    assert_eq!(
        (&youtube["needs_audio"], &youtube["keyframe_max_s"], &youtube["has_ingests"]),
        (&json!(true), &json!(4.0), &json!(false))
    );
}
