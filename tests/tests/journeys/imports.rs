//! Files that are uploaded and become recordings: made by ffmpeg, judged by ffmpeg and ffprobe, sent by curl as any client of tus would.

use crate::browser::node_test;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Server, eventually, eventually_within, look, run, run_ok};

/// A film made by ffmpeg with these options beside the usual ones.
fn film(folder: &Path, name: &str, seconds: u32, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let (picture, tone) = (
        format!("testsrc2=size=320x180:rate=25:duration={seconds}"),
        format!("sine=frequency=440:sample_rate=44100:duration={seconds}"),
    );
    let usual = ["-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    let coded = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3", "-c:a", "aac"];
    let to = path.display().to_string();
    run_ok("ffmpeg", usual.iter().chain(&coded).chain(options).copied().chain([to.as_str()]));
    path
}

/// What `weir recording import` prints of a file that becomes a recording.
#[track_caller]
fn import(server: &Server, file: &Path) -> Value {
    server.weir_json(&["recording", "import", &file.display().to_string()])
}

/// The checksum of each packet of a track with its presentation time in microseconds, as the demuxers of ffmpeg find them.
fn packets(input: &str, track: &str) -> Vec<(String, i64)> {
    let entries = ["-show_entries", "packet=pts_time,data_hash", "-show_data_hash", "crc32", "-of", "csv=p=0"];
    let words = ["-v", "error", "-select_streams", track].into_iter().chain(entries).chain([input]);
    let line = |line: &str| {
        let (time, hash) = line.trim_end_matches(',').split_once(',')?;
        Some((hash.to_owned(), (time.parse::<f64>().ok()? * 1e6).round() as i64))
    };
    run_ok("ffprobe", words).lines().filter_map(line).collect()
}

/// Checksums of all decoded pictures.
fn decoded(input: &str) -> Vec<String> {
    let words = ["-v", "error", "-i", input, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let text = run_ok("ffmpeg", words);
    let hash = |line: &str| line.rsplit(',').next().map(|hash| hash.trim().to_owned());
    text.lines().filter(|line| !line.starts_with('#')).filter_map(hash).collect()
}

/// The recording has the file's packets, at the file's times.
#[track_caller]
fn check_alike(server: &Server, file: &Path, recording: &Value) {
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let (file, address) = (file.display().to_string(), server.url(recording["hls"].as_str().expect("a path")));
    let (theirs, ours) = (packets(&file, "v:0"), packets(&address, "v:0"));
    let zero = |packets: &[(String, i64)]| packets.iter().map(|(_, at)| *at).min().unwrap_or(0);
    let heard = (packets(&file, "a:0"), packets(&address, "a:0"));
    let has_pictures = !theirs.is_empty();
    let shift = if has_pictures {
        zero(&ours) - zero(&theirs)
    } else {
        // What stands before zero is there for decoders alone.
        let known: HashMap<&str, i64> = heard.0.iter().map(|(hash, at)| (hash.as_str(), *at)).collect();
        let (hash, at) = &heard.1[heard.1.len() / 2];
        at - known[hash.as_str()]
    };
    assert_eq!(ours.len(), theirs.len(), "{name}: as many pictures");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.0, theirs.0, "{name}: the same pictures");
        assert!((ours.1 - theirs.1 - shift).abs() < 1_000, "{name}: {ours:?} {theirs:?} shifted by {shift}");
    }
    let known: HashMap<&str, i64> = heard.1.iter().map(|(hash, at)| (hash.as_str(), *at)).collect();
    let begin = if has_pictures { zero(&theirs) } else { 0 };
    // Frames of a tone may repeat; what counts is that each is found where it was.
    let at_its_place =
        heard.0.iter().filter(|(_, at)| *at >= begin).filter(|(hash, at)| {
            heard.1.iter().any(|(found, place)| found == hash && (place - at - shift).abs() < 1_000)
        });
    let count = heard.0.iter().filter(|(_, at)| *at >= begin).count();
    assert_eq!(at_its_place.count(), count, "{name}: all sound is at its place, {} known", known.len());
    if has_pictures {
        assert_eq!(decoded(&address), decoded(&file), "{name}: decoded alike");
    }
    assert_eq!(look::complaints(&address), "", "{name}");
}

#[test]
fn films_of_all_kinds_become_recordings_that_are_alike() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let vary = "select='not(eq(mod(n,7),3)+between(n,60,69))'";
    for (name, options) in [
        ("front.mp4", &["-movflags", "+faststart"][..]),
        ("end.mp4", &[]),
        ("fragments.mp4", &["-movflags", "frag_keyframe+empty_moov+default_base_moof"]),
        ("varying.mp4", &["-vf", vary, "-fps_mode", "vfr"]),
        ("silent.mp4", &["-an"]),
        ("sound.m4a", &["-vn"]),
        ("long_groups.mp4", &["-g", "250"]),
    ] {
        let file = film(folder.path(), name, 12, options);
        let recording = import(&server, &file);
        assert_eq!((&recording["status"], &recording["stream"]), (&"available".into(), &"uploads".into()));
        assert_eq!(recording["title"], name.split('.').next().expect("a stem"));
        let probed = run_ok(
            "ffprobe",
            ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", &file.display().to_string()],
        );
        // It begins with the first picture, which a file without edit list shows later than zero.
        let first = packets(&file.display().to_string(), "v:0").iter().map(|(_, at)| *at).min().unwrap_or(0);
        let length = probed.trim().parse::<f64>().expect("a length") * 1_000.0 - first as f64 / 1_000.0;
        let told = recording["duration_ms"].as_f64().expect("a length");
        assert!((told - length).abs() <= 41.0, "{name}: {told} ms of {length}");
        check_alike(&server, &file, &recording);
    }
    // It is a recording like any other.
    let all = server.ask("GET", "/api/v1/recordings?sort=title");
    let front =
        all["recordings"].as_array().expect("a list").iter().find(|r| r["title"] == "front").expect("one").clone();
    let id = front["id"].as_str().expect("an id").to_owned();
    assert!(server.get(front["thumb"].as_str().expect("a path")).status == 200, "it has a picture");
    let story = server.get(&format!("/vod/{id}/storyboard.vtt")).ok().expect("a storyboard");
    assert!(story.matches("-->").count() >= 2, "{story}");
    let verdict = server.weir_json(&["recording", "verify", &id]);
    assert_eq!(verdict["good"], true, "{verdict}");
    let mp4 = folder.path().join("out");
    assert!(server.weir(&["recording", "export", &id, &mp4.display().to_string(), "--as", "mp4"]).status.success());
    let out = mp4.join("front source.mp4").display().to_string();
    assert_eq!(decoded(&out), decoded(&folder.path().join("front.mp4").display().to_string()));
    eventually("nothing that is left of the uploads", || (uploads(&server).is_empty()).then_some(()));
    assert_eq!(left(&server), 0);
}

fn uploads(server: &Server) -> Vec<Value> {
    server.ask("GET", "/api/v1/uploads")["uploads"].as_array().expect("a list").clone()
}

/// Files in the folder of uploads.
fn left(server: &Server) -> usize {
    std::fs::read_dir(server.data_dir().join("archive/.uploads")).expect("a folder").count()
}

#[test]
fn what_cant_be_taken_is_refused_in_words_and_leaves_nothing() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |file: &Path| {
        let out = server.weir(&["recording", "import", &file.display().to_string()]);
        assert!(!out.status.success(), "{out:?}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let diary = folder.path().join("diary.mp4");
    std::fs::write(&diary, "Dear diary, today I filmed nothing.").expect("a file");
    assert!(refused(&diary).contains("This is not an MP4 file"));
    let pcm = film(folder.path(), "pcm.mov", 3, &["-c:a", "pcm_s16le"]);
    let why = refused(&pcm);
    assert!(why.contains("The sound is PCM, and only AAC-LC can be taken; convert it with ffmpeg"), "{why}");
    let whole = film(folder.path(), "whole.mp4", 3, &["-movflags", "+faststart"]);
    let bytes = std::fs::read(&whole).expect("a film");
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let why = refused(&cut);
    assert!(why.contains("The file is cut short"), "{why}");
    let still = film(folder.path(), "still.mp4", 30, &["-g", "10000", "-sc_threshold", "0"]);
    let why = refused(&still);
    assert!(why.contains("No key frame that players can begin with comes for 30 s"), "{why}");
    let nowhere = server.weir(&["recording", "import", &whole.display().to_string(), "--stream", "nobody"]);
    let why = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(why.to_lowercase().contains("no stream"), "{why}");
    eventually("nothing that is left of the uploads", || (left(&server) == 0).then_some(()));
    let failed = server.ask("GET", "/api/v1/recordings?status=failed");
    let reasons: Vec<&str> =
        failed["recordings"].as_array().expect("a list").iter().filter_map(|r| r["reason"].as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(server.ask("GET", "/api/v1/recordings?status=available")["total"], 0);
}

/// One request of tus by curl: status, and a header of the answer.
fn tus(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[&str],
    body: Option<&Path>,
) -> (u16, HashMap<String, String>) {
    let token = format!("Authorization: Bearer {}", server.api_token());
    let mut words = vec!["-s", "-S", "-i", "-H", "Tus-Resumable: 1.0.0", "-H", &token];
    match method {
        "HEAD" => words.push("--head"),
        method => words.extend(["-X", method]),
    }
    headers.iter().for_each(|header| words.extend(["-H", header]));
    let file = body.map(|file| format!("@{}", file.display()));
    if let Some(file) = &file {
        words.extend(["-H", "Content-Type: application/offset+octet-stream", "-H", "Expect:", "--data-binary", file]);
    }
    let url = server.url(path);
    words.push(&url);
    let said = String::from_utf8_lossy(&run("curl", words).stdout).into_owned();
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let pairs = said.lines().filter_map(|line| line.split_once(": "));
    (status, pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect())
}

/// Announces a file and gives its address.
fn announce(server: &Server, size: u64) -> String {
    let length = format!("Upload-Length: {size}");
    // "film.mp4"
    let (status, headers) =
        tus(server, "POST", "/api/v1/uploads", &[&length, "Upload-Metadata: filename ZmlsbS5tcDQ="], None);
    assert_eq!((status, headers["tus-resumable"].as_str()), (201, "1.0.0"), "{headers:?}");
    assert!(headers.contains_key("upload-expires"));
    headers["location"].clone()
}

fn part(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("piece");
    std::fs::write(&path, bytes).expect("a piece");
    path
}

#[test]
fn an_upload_goes_on_behind_a_killed_server() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = film(folder.path(), "film.mp4", 8, &["-b:v", "4M"]);
    let bytes = std::fs::read(&file).expect("a film");
    let address = announce(&server, bytes.len() as u64);
    let third = bytes.len() / 3;
    let piece = part(folder.path(), &bytes[..third]);
    let (status, headers) = tus(&server, "PATCH", &address, &["Upload-Offset: 0"], Some(&piece));
    assert_eq!((status, headers["upload-offset"].parse().ok()), (204, Some(third)));
    // The server dies while the second piece is on its way.
    let slow = part(folder.path(), &bytes[third..]);
    let token = server.api_token();
    let mut curl = std::process::Command::new("curl")
        .args(["-s", "-X", "PATCH", "--limit-rate", "300k", "-H", "Tus-Resumable: 1.0.0", "-H", "Expect:"])
        .args(["-H", "Content-Type: application/offset+octet-stream", "-H", &format!("Upload-Offset: {third}")])
        .args(["-H", &format!("Authorization: Bearer {token}"), "--data-binary", &format!("@{}", slow.display())])
        .arg(server.url(&address))
        .spawn()
        .expect("curl");
    let media = server.data_dir().join("archive/.uploads");
    let id = address.rsplit('/').next().expect("an id").to_owned();
    eventually("a second request that is refused while the first one writes", || {
        let (status, _) = tus(&server, "PATCH", &address, &["Upload-Offset: 1"], Some(&piece));
        (status == 423).then_some(())
    });
    let server = server.start_again();
    let _cut_off = curl.wait();
    assert!(std::fs::metadata(media.join(format!("{id}.part"))).expect("the bytes").len() >= third as u64);
    let (status, headers) = tus(&server, "HEAD", &address, &[], None);
    let offset: usize = headers["upload-offset"].parse().expect("an offset");
    assert!(status == 200 && offset >= third, "{offset} of {third} that were acknowledged");
    let (status, _) = tus(&server, "PATCH", &address, &["Upload-Offset: 1"], Some(&piece));
    assert_eq!(status, 409, "elsewhere");
    let rest = part(folder.path(), &bytes[offset..]);
    let (status, headers) = tus(&server, "PATCH", &address, &[&format!("Upload-Offset: {offset}")], Some(&rest));
    assert_eq!((status, headers["upload-offset"].parse().ok()), (204, Some(bytes.len())));
    let recording = available(&server, &id);
    check_alike(&server, &file, &recording);
    // Who never got the last answer asks again when the file is gone, and must not take it for lost.
    eventually("nothing that is left of the uploads", || (left(&server) == 0).then_some(()));
    let (status, headers) = tus(&server, "HEAD", &address, &[], None);
    assert_eq!((status, headers["upload-offset"].parse().ok()), (200, Some(bytes.len())));
    assert_eq!(headers["upload-length"].parse().ok(), Some(bytes.len()));
}

#[test]
fn what_came_over_http2_before_a_break_is_kept() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = film(folder.path(), "film.mp4", 30, &["-b:v", "4M"]);
    let address = announce(&server, std::fs::metadata(&file).expect("a film").len());
    let token = server.api_token();
    let mut curl = std::process::Command::new("curl")
        .args(["-s", "-k", "--http2", "-X", "PATCH", "--limit-rate", "1M", "-H", "Tus-Resumable: 1.0.0"])
        .args(["-H", "Content-Type: application/offset+octet-stream", "-H", "Upload-Offset: 0"])
        .args(["-H", &format!("Authorization: Bearer {token}"), "--data-binary", &format!("@{}", file.display())])
        .arg(format!("https://{}{address}", server.https))
        .spawn()
        .expect("curl");
    let piece = part(folder.path(), b"nothing");
    let wrong = ["Upload-Offset: 1"];
    eventually("a request that writes", || {
        (tus(&server, "PATCH", &address, &wrong, Some(&piece)).0 == 423).then_some(())
    });
    let media = server.data_dir().join("archive/.uploads").join(address.rsplit('/').next().expect("an id"));
    let written = || std::fs::metadata(media.with_extension("part")).expect("the bytes").len();
    eventually("bytes in the file", || (written() > 0).then_some(()));
    curl.kill().expect("curl to be there");
    let _killed = curl.wait();
    eventually("the end of that request", || {
        (tus(&server, "PATCH", &address, &wrong, Some(&piece)).0 == 409).then_some(())
    });
    let (_, headers) = tus(&server, "HEAD", &address, &[], None);
    let offset: u64 = headers["upload-offset"].parse().expect("an offset");
    assert!(offset > 0 && offset == written(), "{offset} of {} bytes that came", written());
}

#[track_caller]
fn available(server: &Server, id: &str) -> Value {
    eventually_within("the recording", Duration::from_secs(60), || {
        let recording = server.ask("GET", &format!("/api/v1/recordings/{id}"));
        assert_ne!(recording["status"], "failed", "{recording}");
        (recording["status"] == "available").then_some(recording)
    })
}

#[test]
fn an_import_begins_anew_behind_a_killed_server_and_ends_when_its_recording_is_deleted() {
    let mut server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = film(folder.path(), "film.mp4", 300, &[]);
    let bytes = std::fs::read(&file).expect("a film");
    let send = |server: &Server| {
        let address = announce(server, bytes.len() as u64);
        let (status, _) = tus(server, "PATCH", &address, &["Upload-Offset: 0"], Some(&file));
        assert_eq!(status, 204);
        address.rsplit('/').next().expect("an id").to_owned()
    };
    let begun = |server: &Server, id: &str| {
        eventually("an import amid its work", || {
            let recording = server.ask("GET", &format!("/api/v1/recordings/{id}"));
            assert_eq!(recording["status"], "processing", "it was too fast to be killed");
            (recording["percent"].as_u64() > Some(0)).then_some(())
        });
    };
    let id = send(&server);
    begun(&server, &id);
    server = server.start_again();
    let recording = available(&server, &id);
    let told = recording["duration_ms"].as_u64().expect("a length");
    assert!((299_900..300_100).contains(&told), "{told} ms");
    check_alike(&server, &file, &recording);

    let id = send(&server);
    begun(&server, &id);
    assert!(server.weir(&["recording", "delete", &id]).status.success());
    eventually("nothing that is left of it", || (left(&server) == 0 && uploads(&server).is_empty()).then_some(()));
    let session = || std::fs::read_dir(server.data_dir().join("archive/uploads")).expect("a folder").count();
    eventually("its media to be gone, and the other's to stay", || (session() == 1).then_some(()));
}

#[test]
fn an_operator_uploads_a_film_on_the_dashboard() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = film(folder.path(), "friday.mp4", 10, &["-b:v", "4M", "-minrate", "4M", "-bufsize", "1M"]);
    node_test(&server, "tests/uploads.mjs", &[("FILM", &file.display().to_string())]);
}
