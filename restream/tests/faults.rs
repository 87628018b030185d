//! Targets that fail, each in its own way: what is said of it, and that it is tried again.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use kit::nginx::Nginx;
use kit::servers::{Manner, babbler, nobody, server, terminator};
use kit::{Copy, Show, settings, settings_trusting, target, target_at};
use restream::{Settings, State, Target, check};
use std::time::{Duration, Instant};

/// Plays to a target until it fails; what is said of it, in less than five seconds where that is promised.
async fn failed(target: Target, settings: Settings) -> Copy {
    let mut show = Show::new();
    let copy = show.outlet(target, settings);
    show.play_until("a fault", || !copy.fault().is_empty()).await;
    copy
}

#[tokio::test]
async fn every_fault_has_its_name_and_its_state() {
    let mute = babbler(b"").await;
    let garbage = babbler(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let closing = server(Manner::Closes).await.0;
    let refusing = server(Manner::Refuses("NetStream.Publish.BadName", "No such stream KEY.")).await.0;
    let wrong_app = server(Manner::Refuses("NetConnection.Connect.InvalidApp", "")).await.0;
    let nginx = Nginx::start();
    let guarded = format!("rtmp://{}/guarded", nginx.address);
    let unknown_app = format!("rtmp://{}/nothing", nginx.address);
    let inside = Target { allow_private: false, ..target(nginx.address, "KEY") };
    for (target, code, state) in [
        (target(nobody(), "KEY"), "connection_refused", State::Retrying),
        (target_at("rtmp://nobody.invalid/live", "KEY"), "no_such_host", State::Retrying),
        (target(mute, "KEY"), "mute", State::Retrying),
        (target(garbage, "KEY"), "not_rtmp", State::Retrying),
        (target(closing, "KEY"), "closed_at_key", State::Refused),
        (target(refusing, "KEY"), "bad_key", State::Refused),
        (target(wrong_app, "KEY"), "no_application", State::Refused),
        (target_at(&guarded, "KEY"), "closed_at_key", State::Refused),
        (target_at(&unknown_app, "KEY"), "closed_early", State::Retrying),
        (inside, "blocked_address", State::Refused),
    ] {
        let (url, begun) = (target.url.to_string(), Instant::now());
        let copy = failed(target, settings()).await;
        println!("{url}: {} in {:?}", copy.words(), begun.elapsed());
        assert_eq!((copy.fault(), copy.state()), (code, state), "{url}: {}", copy.words());
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}: {:?}", begun.elapsed());
        assert!(!copy.words().contains("KEY"), "{}", copy.words());
        assert!(copy.status.borrow().next_try.is_some(), "{url} is tried again");
    }
}

#[tokio::test]
async fn a_server_that_asks_and_takes_nothing_fills_no_memory() {
    let (address, seen) = server(Manner::Asks).await;
    let copy = failed(target(address, "KEY"), settings()).await;
    assert_eq!(copy.fault(), "stalled", "{}", copy.words());
    let asked_bytes = seen.lock().unwrap().asked_bytes;
    // What two sockets hold; each answer would be as long as its question.
    assert!((1..16 << 20).contains(&asked_bytes), "{asked_bytes} bytes were taken");
}

#[tokio::test]
async fn certificates_are_looked_at() {
    let inside = server(Manner::Good).await.0;
    let (wrong_name, certificate) = terminator("other.example", inside).await;
    let (unknown, _) = terminator("localhost", inside).await;
    for (address, trusted, code) in [
        (wrong_name, vec![certificate], "tls_name"),
        (unknown, vec![], "tls_issuer"),
        (inside, vec![], "mute"),
        (babbler(b"hello, this is no TLS").await, vec![], "tls"),
    ] {
        let url = format!("rtmps://localhost:{}/live", address.port());
        let copy = failed(target_at(&url, "KEY"), settings_trusting(trusted)).await;
        println!("{}", copy.words());
        assert!(copy.fault() == code || (code == "mute" && copy.fault() == "tls"), "{code}: {}", copy.words());
    }
}

#[tokio::test]
async fn a_target_that_stands_still_is_noticed_and_nothing_else_is() {
    let (deaf, seen) = server(Manner::Deaf).await;
    let (good, good_seen) = server(Manner::Good).await;
    let mut show = Show::new();
    let (stuck, fine) = (show.outlet(target(deaf, "KEY"), settings()), show.outlet(target(good, "KEY"), settings()));
    show.play_until("the stall is told", || stuck.fault() == "stalled").await;
    assert!(stuck.words().starts_with("the server took nothing for 1 s"), "{}", stuck.words());
    let before = good_seen.lock().unwrap().stamps.len();
    show.play_until("another try", || seen.lock().unwrap().connections >= 2).await;
    let status = fine.status.borrow();
    assert_eq!((status.state, status.drops, status.connects), (State::Live, 0, 1));
    assert!(good_seen.lock().unwrap().stamps.len() > before);
}

#[tokio::test]
async fn a_check_knocks_and_shows_no_key() {
    let (good, seen) = server(Manner::Refuses("NetStream.Publish.BadName", "")).await;
    let checked = check(&target(good, "KEY"), &settings()).await.unwrap();
    assert_eq!(checked.address, Some(good));
    assert!(seen.lock().unwrap().stamps.is_empty());
    let fault = check(&target(nobody(), "KEY"), &settings()).await.unwrap_err();
    assert_eq!(fault.code(), "connection_refused");
    let inside = Target { allow_private: false, ..target(good, "KEY") };
    assert_eq!(check(&inside, &settings()).await.unwrap_err().code(), "blocked_address");
}

#[tokio::test]
async fn hevc_goes_to_those_who_take_it_only() {
    use media::{Config, FeedItem, VideoCodec, VideoConfig};
    use std::sync::Arc;
    let (address, seen) = server(Manner::Good).await;
    let clip = kit::Clip::get();
    let hevc = Arc::new(VideoConfig { codec: VideoCodec::Hevc, ..(*clip.video).clone() });
    let mut takes = target(address, "KEY");
    takes.rules.takes_hevc = true;
    let mut show = Show::new();
    let (with, without) = (show.outlet(takes, settings()), show.outlet(target(address, "KEY"), settings()));
    let begun = Instant::now();
    while with.state() != State::Live || without.fault() != "video_codec" || seen.lock().unwrap().stamps.is_empty() {
        assert!(begun.elapsed() < kit::PATIENCE);
        let unit = show.step();
        if unit.video().is_some() {
            show.feed.push(FeedItem::Unit(media::AccessUnit { config: Config::Video(Arc::clone(&hevc)), ..unit }));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(without.state(), State::Refused);
    assert_eq!(seen.lock().unwrap().connections, 1, "nobody is bothered who can't take it");
}
