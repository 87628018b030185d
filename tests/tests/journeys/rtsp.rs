//! Players and studio tools take the live over RTSP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::{AudioKind, Clip, Process, Publisher, Server, VideoKind, eventually, holds_for, look, run, run_ok, tool};

/// RTSP is off unless it is wanted.
const ON: &str = "[rtsp]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";

/// A server with RTSP whose `[rtsp]` has these lines too, with a stream.
pub(super) fn server(more: &str) -> (Server, tests::Stream) {
    let server = Server::start_configured(&format!("{ON}{more}"), &["--no-demo"]);
    let stream = server.add_stream("show");
    (server, stream)
}

pub(super) fn url(server: &Server, path: &str) -> String {
    format!("rtsp://{}/{path}", server.door("rtsp"))
}

/// An ffmpeg that saves what it reads, decoded: a copy needs decode times, which RTP has none of (of B-frames ffmpeg then makes none up).
pub(super) fn reader(url: &str, transport: &str, file: &Path, options: &[&str]) -> Process {
    let mut command = Command::new(tool("ffmpeg"));
    command.args(["-nostdin", "-v", "info", "-nostats", "-rtsp_transport", transport]);
    command.args(["-i", url, "-map", "0", "-c:v", "ffv1", "-c:a", "pcm_s16le", "-fps_mode", "passthrough"]);
    command.args(options).arg("-y").arg(file);
    Process::start("ffmpeg (reader)", command)
}

/// A hash of each decoded picture, in order.
fn hashes(file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let words =
        ["-nostdin", "-v", "error", "-i", &file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framehash", "-"];
    let said = run_ok(tool("ffmpeg"), words);
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect()
}

/// Asserts that the file's pictures are the clip's, each of them, from one on; gives which one that is.
#[track_caller]
pub(super) fn assert_whole(file: &Path, clip: &Clip, least: usize) -> usize {
    let (mut got, source) = (hashes(file), hashes(&clip.file()));
    assert!(got.len() > least, "{} pictures were read", got.len());
    // Where it was cut a picture may have come before those that are shown earlier.
    got.truncate(got.len() - clip.bframes as usize - 1);
    let begins = source.iter().position(|hash| *hash == got[0]).expect("the first picture is the clip's");
    assert_eq!(got[..], source[begins..begins + got.len()], "none lost, none twice, none changed");
    begins
}

/// What is said to a raw request.
fn say(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a socket");
    stream.write_all(request).expect("it is taken");
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn ffmpeg_reads_every_picture_over_tcp_and_over_udp() {
    let (server, stream) = server("");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["tcp", "udp"].map(|transport| (transport, folder.path().join(format!("{transport}.mkv"))));
    let mut readers: Vec<Process> =
        files.iter().map(|(transport, file)| reader(&url(&server, "show"), transport, file, &["-t", "6"])).collect();
    eventually("both count as viewers", || {
        (server.metric("weir_rtsp_readers") == 2.0 && server.ask("GET", "/api/v1/live/show")["viewers"] == 2)
            .then_some(())
    });
    for reader in &mut readers {
        assert!(reader.expect_end(Duration::from_secs(40)).success(), "{}", reader.said());
        assert!(reader.said().contains("Video: h264") && reader.said().contains("Audio: aac"), "{}", reader.said());
    }
    for (transport, file) in &files {
        let begins = assert_whole(file, &clip, 120);
        assert!(begins.is_multiple_of(clip.gop as usize), "{transport}: picture {begins} is no keyframe");
        let name = file.display().to_string();
        let offsets = look::sync_offsets_ms(&look::pictures(&name), &look::sound(&name), 30);
        assert!(offsets.len() >= 3 && offsets.iter().all(|offset| offset.abs() <= 60.0), "{transport}: {offsets:?}");
    }
    eventually("nobody is left", || (server.metric("weir_rtsp_readers") == 0.0).then_some(()));
    assert_eq!(server.metric("weir_rtsp_dropped_units_total"), 0.0);
    assert_eq!(server.metric("weir_rtsp_worker_failures_total"), 0.0);
    eventually("its worker ends with the last reader", || (server.metric("weir_rtsp_workers") == 0.0).then_some(()));
}

#[test]
fn a_late_reader_sees_a_picture_at_once_and_a_rung_is_read_too() {
    let (server, stream) = server("[transcode]\nladder = \"90p:200k\"\n");
    // Keyframes are 8 s apart, so that a reader that had to wait for one would be found out.
    let clip = Clip { seconds: 60, gop: 240, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    let rungs = eventually("a rung is listed", || Some(server.variants("show")).filter(|all| all.len() > 1));
    println!("{rungs:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let first = folder.path().join("first.mkv");
    let mut warm = reader(&url(&server, "show"), "tcp", &first, &["-t", "3"]);
    assert!(warm.expect_end(Duration::from_secs(30)).success(), "{}", warm.said());
    let began = std::time::Instant::now();
    let words = ["-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "0", "-probesize", "32"];
    let shown = ["-read_intervals", "%+#1", "-select_streams", "v", "-show_entries", "packet=flags", "-of", "csv=p=0"];
    let packet = run_ok(tool("ffprobe"), words.iter().chain(&shown).chain(&[url(&server, "show").as_str()]));
    println!("the first packet after {:?}", began.elapsed());
    assert!(packet.starts_with('K'), "it begins with a keyframe: {packet}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let file = folder.path().join("rung.mkv");
    let mut rung = reader(&url(&server, "show/90p"), "tcp", &file, &["-t", "4"]);
    assert!(rung.expect_end(Duration::from_secs(30)).success(), "{}", rung.said());
    let name = file.display().to_string();
    assert_eq!(look::track(&name, "video")["height"], 90);
    assert!(rung.said().contains("Audio: aac"), "{}", rung.said());
    assert_eq!(look::complaints(&name), "");
}

#[test]
fn gstreamer_reads_over_both_transports() {
    let (server, stream) = server("");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    for protocol in ["tcp", "udp"] {
        // Its own guess of the sender's clock is led astray by a beginning that is faster than real time.
        let file = folder.path().join(format!("{protocol}.mkv"));
        let graph = format!(
            "rtspsrc buffer-mode=none location={} protocols={protocol} ! rtph264depay ! h264parse ! matroskamux ! filesink location={}",
            url(&server, "show"),
            file.display()
        );
        let mut command = Command::new(tool("gst-launch-1.0"));
        command.arg("-e").args(graph.split_whitespace());
        let mut player = Process::start("gst-launch-1.0", command);
        eventually("it has read for a while", || {
            std::fs::metadata(&file).is_ok_and(|file| file.len() > 300_000).then_some(())
        });
        player.signal("INT");
        player.expect_end(Duration::from_secs(10));
        assert_whole(&file, &clip, 60);
    }
}

#[test]
fn hevc_and_opus_are_read() {
    let (server, stream) = server("");
    let clip = Clip { video: VideoKind::Hevc, audio: AudioKind::Opus, seconds: 40, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    eventually("it is live", || server.get("/live/show/hevc.m3u8").ok());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("read.mkv");
    let mut reader = reader(&url(&server, "show"), "tcp", &file, &["-t", "4"]);
    assert!(reader.expect_end(Duration::from_secs(40)).success(), "{}", reader.said());
    assert_whole(&file, &clip, 60);
    assert!(reader.said().contains("Video: hevc") && reader.said().contains("Audio: opus"), "{}", reader.said());
}

#[test]
fn who_shows_no_password_or_a_wrong_one_reads_nothing_and_learns_nothing() {
    let (server, stream) = server("users = [\"obs:correct horse\"]\n");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.variants("show");
    let door = server.door("rtsp");
    let probe = |url: &str| {
        let words =
            ["-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url];
        let said = run(tool("ffprobe"), words);
        (said.status.success(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
    };
    let (is_read, said) = probe(&format!("rtsp://obs:correct%20horse@{door}/show"));
    assert!(is_read && said.contains("h264"), "{said}");
    for path in ["show", "nobody"] {
        for who in ["", "obs:wrong@", "someone:correct%20horse@"] {
            let (is_read, said) = probe(&format!("rtsp://{who}{door}/{path}"));
            assert!(!is_read && said.contains("401"), "{who}{path}: {said}");
        }
    }
    let (is_read, said) = probe(&format!("rtsp://obs:correct%20horse@{door}/nobody"));
    assert!(!is_read && said.contains("404 No stream of that name is live here"), "{said}");
    let (is_read, said) = probe(&format!("rtsp://{door}/p/{}/show", "A".repeat(40)));
    assert!(!is_read && said.contains("401"), "{said}");
    assert!(server.metric("weir_rtsp_refused_total") >= 6.0);
    for _ in 0..12 {
        probe(&format!("rtsp://obs:wrong@{door}/show"));
    }
    assert!(server.metric("weir_rtsp_tarpit_total") >= 1.0, "who guesses on is answered late");
    assert!(!server.log().contains("horse"), "no password stands in a log");
}

#[test]
fn closing_a_stream_cuts_its_readers_and_a_ticket_lets_one_in_again() {
    let (server, stream) = server("");
    let _publisher = Publisher::push(&Clip { seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let readers = || server.metric("weir_rtsp_readers");
    let mut open = reader(&url(&server, "show"), "tcp", &folder.path().join("open.mkv"), &["-t", "50"]);
    eventually("it reads", || (readers() == 1.0).then_some(()));
    assert!(server.weir(&["stream", "set", "show", "--visibility", "private"]).status.success());
    eventually("nobody reads", || (readers() == 0.0).then_some(()));
    let _whatever_it_says = open.expect_end(Duration::from_secs(20));
    let door: SocketAddr = server.door("rtsp").parse().expect("an address");
    let describe = |path: &str| format!("DESCRIBE rtsp://h/{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    let (closed, missing) = (say(door, describe("show").as_bytes()), say(door, describe("nobody").as_bytes()));
    assert_eq!(closed, missing, "it answers as one that is not there");

    let ticket = server.tell("POST", "/api/v1/streams/show/tickets", r#"{"lasts_s": 600}"#);
    let ticket = ticket["ticket"].as_str().unwrap_or_else(|| panic!("{ticket}")).to_owned();
    let path = format!("p/{ticket}/show");
    let _invited = reader(&url(&server, &path), "tcp", &folder.path().join("invited.mkv"), &["-t", "50"]);
    eventually("it reads with a ticket", || (readers() == 1.0).then_some(()));
    assert!(server.weir(&["stream", "set", "show", "--title", "A board"]).status.success());
    holds_for("a change of another kind cuts nobody", Duration::from_secs(4), || readers() == 1.0);
    let other = say(door, describe(&format!("p/{ticket}x/show")).as_bytes());
    assert!(other.contains("RTSP/1.0 401"), "{other}");
    assert!(!server.log().contains(&ticket), "no ticket is in the log");
}

#[test]
fn rtsps_is_read_and_its_media_stays_inside() {
    let (server, stream) = server("tls_listen = \"127.0.0.1:0\"\n");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("read.mkv");
    let url = format!("rtsps://{}/show", server.door("rtsps"));
    let mut reader = reader(&url, "tcp", &file, &["-t", "5"]);
    assert!(reader.expect_end(Duration::from_secs(40)).success(), "{}", reader.said());
    assert_whole(&file, &clip, 100);
}

#[test]
fn garbage_and_other_protocols_end_themselves_alone() {
    let (server, stream) = server("");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let door: SocketAddr = server.door("rtsp").parse().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("read.mkv");
    let mut reader = reader(&url(&server, "show"), "tcp", &file, &["-t", "8"]);
    eventually("it reads", || (server.metric("weir_rtsp_sent_bytes_total") > 0.0).then_some(()));
    assert!(say(door, b"GET /show HTTP/1.1\r\n\r\n").starts_with("RTSP/1.0 400"));
    assert!(say(door, &[0x16, 3, 1, 2, 0]).starts_with("RTSP/1.0 400"));
    assert!(say(door, &[b'A'; 9000]).starts_with("RTSP/1.0 400"));
    let long = format!("DESCRIBE rtsp://h/show RTSP/1.0\r\nCSeq: 1\r\nX: {}\r\n\r\n", "a".repeat(9000));
    assert!(say(door, long.as_bytes()).starts_with("RTSP/1.0 400"));
    assert!(
        say(door, b"ANNOUNCE rtsp://h/show RTSP/1.0\r\nCSeq: 7\r\n\r\n").starts_with("RTSP/1.0 405 Nothing is taken")
    );
    let answer = say(door, b"DESCRIBE rtsp://h/nobody RTSP/1.0\r\nCSeq: 42\r\n\r\n");
    assert!(answer.starts_with("RTSP/1.0 404 No stream") && answer.contains("CSeq: 42\r\n"), "{answer}");
    // Inside the worker: a request that is one, and then none.
    let mut guest = TcpStream::connect(door).expect("the door is open");
    guest.write_all(b"DESCRIBE rtsp://h/show RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("it is taken");
    let mut answer = [0; 12];
    guest.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"RTSP/1.0 200");
    let garbage: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let _closed = guest.write_all(&garbage);
    drop(guest);
    assert!(reader.expect_end(Duration::from_secs(40)).success(), "{}", reader.said());
    assert_whole(&file, &clip, 150);
    assert_eq!(server.metric("weir_rtsp_worker_failures_total"), 0.0);
}

#[test]
fn who_takes_nothing_is_closed_and_nobody_else_notices() {
    let (server, stream) = server("");
    let clip = Clip { kbps: 3_000, seconds: 60, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let door: SocketAddr = server.door("rtsp").parse().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("read.mkv");
    let mut reader = reader(&url(&server, "show"), "tcp", &file, &[]);
    let mut idler = TcpStream::connect(door).expect("the door is open");
    let mut ask = |request: &str| {
        idler.write_all(request.as_bytes()).expect("it is taken");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            idler.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        String::from_utf8(answer).expect("text")
    };
    let base = format!("rtsp://{door}/show");
    let setup = ask(&format!(
        "SETUP {base}/stream=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    ));
    let session = setup.lines().find_map(|line| line.strip_prefix("Session: ")).expect("a session");
    let session = session.split(';').next().expect("a name").to_owned();
    let played = ask(&format!("PLAY {base} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n"));
    assert!(played.starts_with("RTSP/1.0 200"), "{played}");
    eventually("both read", || (server.metric("weir_rtsp_readers") == 2.0).then_some(()));
    eventually("who takes nothing is closed", || (server.metric("weir_rtsp_readers") == 1.0).then_some(()));
    assert!(publisher.is_running() && reader.is_running());
    drop(idler);
    server.weir(&["stream", "stop", "show"]);
    reader.expect_end(Duration::from_secs(15));
    assert_whole(&file, &clip, 200);
}

#[test]
fn a_worker_that_is_killed_takes_its_readers_and_nothing_else() {
    let (server, stream) = server("");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let (before, after) = (folder.path().join("before.mkv"), folder.path().join("after.mkv"));
    let mut reader_before = reader(&url(&server, "show"), "tcp", &before, &[]);
    eventually("it reads", || (server.metric("weir_rtsp_sent_bytes_total") > 50_000.0).then_some(()));
    let worker = server.workers().into_iter().find(|pid| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("\0rtsp")
    });
    server.kill(worker.expect("a worker serves it"));
    reader_before.expect_end(Duration::from_secs(15));
    eventually("it was noticed", || (server.metric("weir_rtsp_worker_failures_total") == 1.0).then_some(()));
    let mut again = reader(&url(&server, "show"), "tcp", &after, &["-t", "4"]);
    assert!(again.expect_end(Duration::from_secs(30)).success(), "{}", again.said());
    assert_whole(&after, &clip, 60);
    assert!(publisher.is_running());
    assert_eq!(server.metric("weir_session_away_total"), 0.0);
}

#[test]
fn rtsp_is_off_unless_it_is_wanted() {
    let server = Server::start();
    assert_eq!(server.door("rtsp"), "", "no door is open");
}
