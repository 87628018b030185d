//! Players and other servers take the live over RTMP.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{
    AudioKind, Clip, Player, Process, Publisher, Server, VideoKind, eventually, look, modern_ffmpeg, run, run_ok, tool,
};

/// What a player that finds nothing is told.
const NOT_LIVE: &str = "No stream of that name is live here";

/// Where a stream is played.
fn play_url(server: &Server, name: &str) -> String {
    format!("rtmp://{}/live/{name}", server.rtmp)
}

/// An ffmpeg that saves what it plays, as it comes.
fn player(ffmpeg: &Path, url: &str, file: &Path, options: &[&str]) -> Process {
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-v", "info", "-nostats", "-copyts", "-i", url, "-map", "0", "-c", "copy"]);
    command.args(options).arg("-y").arg(file);
    Process::start("ffmpeg (player)", command)
}

/// A hash of each decoded picture, in order.
fn hashes(ffmpeg: &Path, file: &str) -> Vec<String> {
    let words =
        ["-nostdin", "-v", "error", "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framehash", "-"];
    let said = run_ok(ffmpeg, words);
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect()
}

/// Asserts that the file's pictures are the clip's, each of them, from one on; gives which one that is.
#[track_caller]
fn assert_whole(ffmpeg: &Path, file: &Path, clip: &Clip) -> usize {
    let file = file.display().to_string();
    let (mut got, source) = (hashes(ffmpeg, &file), hashes(ffmpeg, &clip.file().display().to_string()));
    assert!(got.len() > 60, "{} pictures were played", got.len());
    if source.last() != got.last() {
        // Where it was cut a picture may have come before those that are shown earlier.
        got.truncate(got.len() - clip.bframes as usize - 1);
    }
    let begins = source.iter().position(|hash| *hash == got[0]).expect("the first picture is the clip's");
    assert_eq!(got[..], source[begins..begins + got.len()], "none lost, none twice, none changed");
    begins
}

fn server() -> (Server, tests::Stream) {
    let server = Server::start();
    let stream = server.add_stream("show");
    (server, stream)
}

#[test]
fn a_player_gets_every_picture_from_a_keyframe_on_and_the_end() {
    let (server, stream) = server();
    let clip = Clip { seconds: 12, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let (early, late) = (folder.path().join("early.mkv"), folder.path().join("late.mkv"));
    let mut first = player(&tool("ffmpeg"), &play_url(&server, "show"), &early, &[]);
    eventually("the player counts as a viewer", || {
        (server.metric("weir_playout_players") == 1.0 && server.ask("GET", "/api/v1/live/show")["viewers"] == 1)
            .then_some(())
    });
    // The keyframe of this second is there already: no player waits for the next one.
    let began = Instant::now();
    let words = ["-v", "error", "-analyzeduration", "0", "-probesize", "32", "-read_intervals", "%+#1"];
    let shown = ["-select_streams", "v", "-show_entries", "packet=flags", "-of", "csv=p=0", &play_url(&server, "show")];
    let packet = run_ok(tool("ffprobe"), words.iter().chain(&shown));
    println!("the first packet after {:?}", began.elapsed());
    assert!(packet.starts_with('K'), "it begins with a keyframe: {packet}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let encrypted = format!("rtmps://{}/live/show", server.rtmps);
    let mut second = player(&tool("ffmpeg"), &encrypted, &late, &[]);
    assert!(publisher.expect_end(Duration::from_secs(30)).success());
    for player in [&mut first, &mut second] {
        assert!(player.expect_end(Duration::from_secs(10)).success(), "{}", player.said());
    }
    for file in [&early, &late] {
        let begins = assert_whole(&tool("ffmpeg"), file, &clip);
        assert!(begins.is_multiple_of(clip.gop as usize), "picture {begins} is no keyframe");
        assert_eq!(look::complaints(&file.display().to_string()), "");
        let name = file.display().to_string();
        let offsets = look::sync_offsets_ms(&look::pictures(&name), &look::sound(&name), 30);
        assert!(offsets.len() >= 3 && offsets.iter().all(|offset| offset.abs() <= 40.0), "{offsets:?}");
    }
    assert_eq!(server.metric("weir_playout_dropped_units_total"), 0.0);
    eventually("nobody is left", || (server.metric("weir_playout_players") == 0.0).then_some(()));
}

#[test]
fn who_plays_what_is_not_there_or_a_key_is_told_the_same() {
    let (server, stream) = server();
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.variants("show");
    let unknown = "wk_0123456789abcdef_0123456789abcdef";
    for name in ["nobody", &stream.key, unknown, "show~rehearsal", ""] {
        let said = run(tool("ffprobe"), ["-v", "verbose", "-rw_timeout", "20000000", &play_url(&server, name)]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains(NOT_LIVE), "{said}");
    }
    let application = format!("rtmp://{}/other/show", server.rtmp);
    let said = run(tool("ffprobe"), ["-v", "verbose", "-rw_timeout", "20000000", &application]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("rtmp://HOST/live"));
    assert!(server.metric("weir_playout_refused_total") >= 6.0);
    assert_eq!(server.metric("weir_ingest_tarpit_total"), 0.0, "a player's name is never held against keys");
    let secret = stream.key.rsplit('_').next().expect("a key has parts");
    assert!(!server.log().contains(secret), "what a player asked for stands in no log");
}

#[test]
fn players_may_be_few_or_none() {
    let server = Server::start_configured("[playout]\nrtmp = false\n", &["--no-demo"]);
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.variants("show");
    let refused = |server: &Server| {
        let words = ["-v", "verbose", "-rw_timeout", "20000000", &play_url(server, "show")];
        String::from_utf8_lossy(&run(tool("ffprobe"), words).stderr).into_owned()
    };
    let said = refused(&server);
    assert!(said.contains("as HLS alone") && said.contains("playout.rtmp"), "{said}");

    let server = Server::start_configured("[playout]\nplayers_max = 1\n", &["--no-demo"]);
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.variants("show");
    let _first = player(&tool("ffmpeg"), &play_url(&server, "show"), Path::new("-"), &["-f", "null"]);
    eventually("a player is there", || (server.metric("weir_playout_players") == 1.0).then_some(()));
    let said = refused(&server);
    assert!(said.contains("playout.players_max"), "{said}");
}

#[test]
fn a_player_stays_while_the_publisher_is_away() {
    let (server, stream) = server();
    let clip = Clip::default();
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("played.mkv");
    let mut player = player(&tool("ffmpeg"), &play_url(&server, "show"), &file, &[]);
    eventually("the player plays", || (server.metric("weir_playout_players") == 1.0).then_some(()));
    publisher.kill();
    eventually("the publisher is away", || (server.metric("weir_session_away_total") == 1.0).then_some(()));
    let before = server.metric("weir_playout_sent_bytes_total");
    let _again = Publisher::push(&clip, &server.publish_url(&stream));
    eventually("the player gets what comes now", || {
        (server.metric("weir_playout_sent_bytes_total") > before + 200_000.0).then_some(())
    });
    server.weir(&["stream", "stop", "show"]);
    assert!(player.expect_end(Duration::from_secs(15)).success(), "{}", player.said());
    let pictures = look::pictures(&file.display().to_string());
    assert!(pictures.windows(2).all(|pair| pair[0].at < pair[1].at), "time goes on: {pictures:?}");
    let numbers: Vec<u32> = pictures.iter().filter_map(|picture| Some(picture.marks?.1)).collect();
    let returns = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(returns, 1, "first the one publisher's pictures, then the other's: {numbers:?}");
    assert_eq!(server.metric("weir_playout_players_ended_total"), 1.0);
}

#[test]
fn who_takes_nothing_is_closed_and_nobody_else_notices() {
    let (server, stream) = server();
    let clip = Clip { kbps: 2_000, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("played.mkv");
    let mut player = player(&tool("ffmpeg"), &play_url(&server, "show"), &file, &[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let address = server.rtmp.to_string();
    let idler = runtime.block_on(Player::start(&address, "live", "show", Some(4096))).expect("a stream that begins");
    eventually("both play", || (server.metric("weir_playout_players") == 2.0).then_some(()));
    eventually("who takes nothing is closed", || (server.metric("weir_playout_players") == 1.0).then_some(()));
    eventually("the reason in the log", || server.log().contains("it took no byte for 10 s").then_some(()));
    assert!(publisher.is_running() && player.is_running());
    drop(idler);
    server.weir(&["stream", "stop", "show"]);
    assert!(player.expect_end(Duration::from_secs(15)).success(), "{}", player.said());
    assert_whole(&tool("ffmpeg"), &file, &clip);
}

#[test]
fn gstreamer_plays() {
    let (server, stream) = server();
    let clip = Clip { seconds: 12, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("played.mkv");
    let graph = format!(
        "rtmp2src location={} ! flvdemux name=d matroskamux name=m ! filesink location={} \
         d.video ! queue ! h264parse ! m. d.audio ! queue ! aacparse ! m.",
        play_url(&server, "show"),
        file.display()
    );
    let mut command = Command::new(tool("gst-launch-1.0"));
    command.arg("-e").args(graph.split_whitespace());
    let mut player = Process::start("gst-launch-1.0", command);
    // It ends with the stream.
    assert!(player.expect_end(Duration::from_secs(40)).success(), "{}", player.said());
    let begins = assert_whole(&tool("ffmpeg"), &file, &clip);
    assert!(begins.is_multiple_of(clip.gop as usize), "picture {begins} is no keyframe");
}

#[test]
fn hevc_and_opus_are_played_as_enhanced_rtmp() {
    let (server, stream) = server();
    let clip = Clip { video: VideoKind::Hevc, audio: AudioKind::Opus, seconds: 15, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    eventually("it is live", || server.get("/live/show/hevc.m3u8").ok());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("played.mkv");
    let mut player = player(&modern_ffmpeg(), &play_url(&server, "show"), &file, &[]);
    assert!(player.expect_end(Duration::from_secs(40)).success(), "{}", player.said());
    assert_whole(&modern_ffmpeg(), &file, &clip);
    let tracks = look::tracks(&file.display().to_string());
    let codecs: Vec<&str> = tracks.iter().filter_map(|track| track["codec_name"].as_str()).collect();
    assert_eq!(codecs, ["hevc", "opus"]);
}

#[test]
fn another_server_pulls() {
    let (server, stream) = server();
    let clip = Clip { seconds: 20, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; daemon off; pid {here}/pid; error_log {here}/error.log; \
         events {{ }} rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application copy {{ live on; pull {}; }} }} }}",
        play_url(&server, "show")
    );
    std::fs::write(folder.path().join("nginx.conf"), config).expect("a configuration");
    let mut command = Command::new(tool("nginx"));
    command.args(["-p", &here, "-c", &format!("{here}/nginx.conf"), "-e", &format!("{here}/error.log")]);
    let _nginx = Process::start("nginx", command);
    eventually("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let file = folder.path().join("played.mkv");
    let url = format!("rtmp://127.0.0.1:{port}/copy/show");
    let mut player = player(&tool("ffmpeg"), &url, &file, &["-t", "6"]);
    assert!(player.expect_end(Duration::from_secs(40)).success(), "{}", player.said());
    assert_whole(&tool("ffmpeg"), &file, &clip);
}
