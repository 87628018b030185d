//! Real publishers at real sockets: ffmpeg where another program's eyes count, our own client where an exact act does.

mod kit;

use ingest::session::Departure;
use ingest::{Limits, Refusal};
use kit::{House, Pusher, certificate, patiently};
use media::{AudioCodec, AudioConfig, FeedEnd, FeedItem, MediaTime, Track};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::watch;

/// Runs ffmpeg on a made-up picture and tone; gives its success and its words.
async fn ffmpeg(seconds: u32, codec: &[&str], url: &str) -> (bool, String) {
    let picture = format!("testsrc=size=320x240:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={seconds}");
    let output = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "info",
            "-f",
            "lavfi",
            "-i",
            &picture,
            "-f",
            "lavfi",
            "-i",
            &tone,
        ])
        .args(codec)
        .args(["-f", "flv", url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = patiently(output).await.expect("ffmpeg is installed");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const H264_AAC: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-bf",
    "2",
    "-b_strategy",
    "0",
    "-g",
    "25",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-ac",
    "2",
];

fn units(items: &[FeedItem], track: Track) -> Vec<&media::AccessUnit> {
    items
        .iter()
        .filter_map(|item| match item {
            FeedItem::Unit(unit) if unit.track() == track => Some(unit),
            _ => None,
        })
        .collect()
}

/// What ffmpeg sent with [`H264_AAC`] for three seconds must be in the feed, whole and in order.
fn check_three_seconds(items: &[FeedItem]) {
    assert!(
        matches!(&items[0], FeedItem::Announced(a) if a.video == Some(true) && a.audio == Some(true) && a.frame_rate == Some(25.0))
    );
    assert!(!items.iter().any(|i| matches!(i, FeedItem::Break | FeedItem::Lost { .. })));
    let video = units(items, Track::Video);
    assert_eq!(video.len(), 75);
    assert_eq!(video.iter().filter(|u| u.sync).count(), 3);
    assert!(video[0].sync);
    assert!(video.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(video.iter().all(|u| u.dts <= u.pts) && video.iter().any(|u| u.dts < u.pts), "B-frames");
    let mut shown: Vec<_> = video.iter().map(|u| u.pts).collect();
    shown.sort();
    assert!(shown.windows(2).all(|w| (w[1] - w[0]) == MediaTime::from_millis(40)), "25 fps is whole milliseconds");
    let audio = units(items, Track::Audio);
    assert!((129..=132).contains(&audio.len()), "{} frames of 1,024 samples", audio.len());
    for (n, unit) in audio.iter().enumerate() {
        assert_eq!(unit.dts - audio[0].dts, MediaTime::from_units(n as i64 * 1024, 44_100));
    }
    assert!((video[0].pts - audio[0].pts).abs() < MediaTime::from_millis(120));
}

#[tokio::test]
async fn ffmpegs_units_are_in_the_feed_in_order() {
    let mut house = House::open(Limits::default(), None).await;
    let url = format!("rtmp://{}/live/KEY", house.address);
    let ((ok, said), (items, end)) = tokio::join!(ffmpeg(3, H264_AAC, &url), house.items());
    assert!(ok, "{said}");
    assert_eq!(end, FeedEnd::Finished);
    check_three_seconds(&items);
    let (request, _) = house.dismissals.recv().await.expect("a request");
    assert_eq!((request.app.as_str(), request.query.as_str(), request.tls), ("live", "", false));
}

#[tokio::test]
async fn what_is_held_back_when_a_publisher_leaves_is_played_to_its_end_at_its_pace() {
    let mut house = House::open(Limits::default(), None).await;
    let url = format!("rtmp://{}/live/KEY", house.address);
    let began = Instant::now();
    let ((ok, said), (items, end)) = tokio::join!(ffmpeg(6, H264_AAC, &url), house.items());
    assert!(ok, "{said}");
    assert_eq!((end, units(&items, Track::Video).len()), (FeedEnd::Finished, 150));
    // Two seconds at once, four at 1.25 times real time.
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn rtmps_works_and_a_new_certificate_is_used_at_once() {
    let (certificates, current) = watch::channel(certificate("old.example"));
    let mut house = House::open(Limits::default(), Some(current)).await;
    let url = format!("rtmps://{}/live/KEY", house.address);
    let ((ok, said), (items, _)) = tokio::join!(ffmpeg(3, H264_AAC, &url), house.items());
    assert!(ok, "{said}");
    check_three_seconds(&items);
    assert!(house.dismissals.recv().await.expect("a request").0.tls);
    let before = presented(house.address).await;
    certificates.send(certificate("new.example")).expect("the house listens");
    assert_ne!(before, presented(house.address).await);
}

/// The certificate a server shows, by openssl's eyes.
async fn presented(address: SocketAddr) -> CertificateDer<'static> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-showcerts"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = patiently(output).await.expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE").expect("a certificate");
    let end = text.find("-----END CERTIFICATE").expect("its end");
    CertificateDer::from(text.as_bytes()[begin..end].to_vec())
}

#[tokio::test]
async fn ffmpeg_shows_why_it_was_refused() {
    let house = House::open(Limits::default(), None).await;
    let (ok, said) = ffmpeg(1, H264_AAC, &format!("rtmp://{}/live/WRONG", house.address)).await;
    assert!(!ok);
    assert!(said.contains("The stream key is not valid here; copy it again"), "{said}");
}

#[tokio::test]
async fn a_codec_we_do_not_take_is_refused_by_name() {
    let house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let record = bytes::Bytes::from_static(&[0x11, 0x80]);
    let config = AudioConfig {
        codec: AudioCodec::Aac,
        record,
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    };
    pusher.publisher.send_audio_config(&config, MediaTime::ZERO).expect("publishing");
    let end = pusher.until(|_| false).await.expect_err("closed with words");
    assert!(end.contains("NetStream.Publish.Rejected") && end.contains("channel layout 0"), "{end}");
}

#[tokio::test]
async fn a_dismissed_publisher_hears_why() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let (_, dismiss) = house.dismissals.recv().await.expect("a request");
    pusher.sound().await;
    let mut reader = patiently(house.readers.recv()).await.expect("media");
    dismiss.send(Refusal::new("NetStream.Publish.BadName", "Another encoder took over.")).expect("still publishing");
    let end = pusher.until(|_| false).await.expect_err("closed with words");
    assert!(end.contains("NetStream.Publish.BadName: Another encoder took over."), "{end}");
    while let Ok(_item) = patiently(reader.next()).await {}
    assert_eq!(reader.next().await.expect_err("the end"), FeedEnd::Finished);
}

#[tokio::test]
async fn a_lost_connection_ends_the_feed_as_lost() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    pusher.sound().await;
    let receive = house.items();
    drop(pusher);
    assert_eq!(receive.await.1, FeedEnd::Lost);
}

#[tokio::test]
async fn the_roof_hears_once_how_a_publisher_left() {
    let mut house = House::open(Limits::default(), None).await;
    let mut left = async |end: &str| {
        let mut pusher = Pusher::publishing(house.address).await;
        let (_, dismiss) = house.dismissals.recv().await.expect("a request");
        match end {
            "goodbye" => {
                pusher.publisher.finish();
                let out = pusher.publisher.take_output();
                pusher.socket.write_all(&out).await.expect("an open socket");
            }
            "dismissed" => dismiss.send(Refusal::new("NetStream.Publish.BadName", "Go.")).expect("it listens"),
            "reset" => pusher.socket.set_zero_linger().expect("a socket option"),
            _ => {}
        }
        let still_there = (end != "reset" && end != "hangup").then_some(pusher);
        let how = patiently(house.departures.recv()).await.expect("it left");
        drop(still_there);
        how
    };
    assert_eq!(left("goodbye").await, Departure::Goodbye);
    assert_eq!(left("hangup").await, Departure::Lost);
    assert_eq!(left("reset").await, Departure::Lost);
    assert_eq!(left("dismissed").await, Departure::Lost);
    assert!(house.departures.try_recv().is_err(), "each was told once");
}

#[tokio::test]
async fn a_publisher_that_takes_no_bytes_is_dismissed_at_once() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let (_, dismiss) = house.dismissals.recv().await.expect("a request");
    // Ping requests (user control 6) are answered; unread answers fill the socket until the server's write waits.
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    let pings = ping.repeat(4096);
    while tokio::time::timeout(Duration::from_millis(500), pusher.socket.write_all(&pings)).await.is_ok() {}
    let start = Instant::now();
    dismiss.send(Refusal::new("NetStream.Publish.BadName", "Another encoder took over.")).expect("still publishing");
    patiently(house.departures.recv()).await.expect("it left");
    println!("gone {:?} after the dismissal", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn silence_ends_a_publisher_with_words() {
    let house = House::open(Limits { idle: Duration::from_millis(300), ..Limits::default() }, None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let end = pusher.until(|_| false).await.expect_err("closed");
    assert!(end.contains("no audio or video came"), "{end}");
}

#[tokio::test]
async fn stopping_tells_publishers_and_returns() {
    let house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    house.stop.cancel();
    let end = pusher.until(|_| false).await.expect_err("closed");
    assert!(end.contains("The server is stopping"), "{end}");
    drop(pusher);
    patiently(house.served).await.expect("no panic");
}
