//! What a target gets: judged by nginx-rtmp, which records it, and by ffmpeg, which hashes the packets.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use kit::nginx::Nginx;
use kit::servers::{Manner, server, terminator};
use kit::{Clip, PATIENCE, Show, eventually, hashes, settings, settings_trusting, target, target_at};
use restream::{Source, State};
use std::path::PathBuf;
use std::time::Duration;

/// Waits until nginx has written all of its only recording.
async fn recorded(nginx: &Nginx, packets: usize) -> PathBuf {
    eventually("nginx has the whole copy", || {
        nginx.records().first().is_some_and(|file| hashes(file).len() >= packets)
    })
    .await;
    nginx.records().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_exact_to_the_packet_and_its_stamp() {
    let nginx = Nginx::start();
    let expected = hashes(&Clip::get().file);
    let show = Show::new();
    let copy = show.outlet(target(nginx.address, "KEY"), settings());
    show.give_all(&Clip::get().units, &copy).await;
    show.end();
    let status = copy.status.clone();
    copy.ended().await;
    let file = recorded(&nginx, expected.len()).await;
    assert_eq!(hashes(&file), expected);
    let status = status.borrow();
    assert_eq!((status.state, status.connects, status.drops), (State::Idle, 1, 0));
    assert!(status.fault.is_none() && status.round_trip.is_none(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_over_tls_is_exact_too() {
    let nginx = Nginx::start();
    let (secure, certificate) = terminator("localhost", nginx.address).await;
    let expected = hashes(&Clip::get().file);
    let show = Show::new();
    let url = format!("rtmps://localhost:{}/live", secure.port());
    let copy = show.outlet(target_at(&url, "KEY"), settings_trusting(vec![certificate]));
    show.give_all(&Clip::get().units, &copy).await;
    show.end();
    copy.ended().await;
    assert_eq!(hashes(&recorded(&nginx, expected.len()).await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_without_sound_gets_silence_that_decodes() {
    let nginx = Nginx::start();
    let mut show = Show::new();
    let mut wanted = target(nginx.address, "KEY");
    wanted.silence = true;
    let copy = show.outlet_of(Source { audio: None, ..Clip::get().source() }, wanted, settings());
    let pictures: Vec<_> = (0..Clip::get().units.len()).map(|_| show.step()).filter(|u| u.video().is_some()).collect();
    show.give_all(&pictures, &copy).await;
    show.end();
    copy.ended().await;
    let file = recorded(&nginx, pictures.len() * 2).await;
    let decoded = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-i"])
        .arg(&file)
        .args(["-map", "0:a", "-af", "astats=metadata=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file=-"])
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let (told, complaint) = (String::from_utf8_lossy(&decoded.stdout), String::from_utf8_lossy(&decoded.stderr));
    assert_eq!(complaint, "", "ffmpeg decodes it without a word");
    let levels: Vec<&str> = told.lines().filter(|line| line.contains("Peak_level")).collect();
    assert!(
        levels.len() > 450 && levels.iter().all(|line| line.ends_with("-inf")),
        "{} levels: {:?}",
        levels.len(),
        levels.first()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_dies_gets_its_copy_again_within_five_seconds_of_its_return() {
    let mut nginx = Nginx::start();
    let mut show = Show::new();
    let copy = show.outlet(target(nginx.address, "KEY"), settings());
    // Long enough that the target counts as one that works.
    let begun = std::time::Instant::now();
    show.play_until("live for a while", || copy.state() == State::Live && begun.elapsed() > Duration::from_secs(11))
        .await;
    nginx.down();
    show.play_until("the loss is told", || copy.state() == State::Retrying).await;
    let gone = std::time::Instant::now();
    show.play_until("some tries fail", || gone.elapsed() > Duration::from_secs(8)).await;
    assert_eq!(copy.fault(), "connection_refused");
    nginx.up();
    let back = std::time::Instant::now();
    show.play_until("live again", || copy.state() == State::Live).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    let bytes = copy.status.borrow().sent_bytes;
    show.play_until("media goes on", || copy.status.borrow().sent_bytes > bytes + 100_000).await;
    show.end();
    copy.ended().await;
    eventually("two recordings", || nginx.records().len() == 2).await;
    for file in nginx.records() {
        let first = hashes(&file).remove(0);
        let dts: i64 = first.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(dts.abs() < 100, "begins near 0: {first}");
        let complaints = std::process::Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&file)
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&complaints.stderr), "", "begins with headers and a keyframe");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_held_while_the_publisher_is_away_and_stamps_go_on() {
    let (address, seen) = server(Manner::Good).await;
    let mut show = Show::new();
    let copy = show.outlet(target(address, "KEY"), settings());
    let first: Vec<_> = (0..300).map(|_| show.step()).collect();
    show.give_all(&first, &copy).await;
    eventually("media arrives", || seen.lock().unwrap().stamps.len() > 290).await;
    // Longer than every deadline there is for a live target, and than what counts as fresh.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((copy.state(), copy.fault()), (State::Live, ""));
    let before = seen.lock().unwrap().stamps.len();
    // Back after a gap on the session's timeline.
    let gap = media::MediaTime::from_millis(4_000);
    for _ in 0..300 {
        let unit = show.step();
        let unit = media::AccessUnit { dts: unit.dts + gap, pts: unit.pts + gap, ..unit };
        show.feed.push(media::FeedItem::Unit(unit));
    }
    eventually("media arrives again", || seen.lock().unwrap().stamps.len() > before + 290).await;
    show.end();
    copy.ended().await;
    eventually("the goodbye", || seen.lock().unwrap().goodbyes == 1).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.connections, 1);
    for kind in [8, 9] {
        let stamps: Vec<u32> = seen.stamps.iter().filter(|(k, _)| *k == kind).map(|(_, stamp)| *stamp).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] <= pair[1]), "monotonic");
        let jump = stamps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!((4_000..4_100).contains(&jump), "stamps go on behind the gap: {jump}");
        assert!(stamps[0] < 50, "near 0: {}", stamps[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_added_while_the_publisher_is_away_waits_for_it() {
    let (address, seen) = server(Manner::Good).await;
    let mut show = Show::new();
    show.push(300);
    let copy = show.outlet(target(address, "KEY"), settings());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((copy.state(), seen.lock().unwrap().connections), (State::Idle, 0));
    show.play_until("live", || copy.state() == State::Live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_stop_says_goodbye_at_once() {
    let (address, seen) = server(Manner::Good).await;
    let mut show = Show::new();
    let copy = show.outlet(target(address, "KEY"), settings());
    show.play_until("live", || copy.state() == State::Live).await;
    copy.stop.cancel();
    tokio::time::timeout(PATIENCE, copy.ended()).await.unwrap();
    eventually("the goodbye", || seen.lock().unwrap().goodbyes == 1).await;
}
