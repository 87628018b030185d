//! What an operator does with the files of recordings: look whether they are whole, and take them elsewhere.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Clip, Publisher, Server, eventually, look};

/// A server, and the id of a recording of 12 seconds on it.
fn recorded(config: &str) -> (Server, String) {
    let server = Server::start_configured(config, &["--no-demo"]);
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none", "--record", "always"]).status.success());
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let id = eventually("a finished recording", || {
        let all = server.ask("GET", "/api/v1/recordings");
        let recording = all["recordings"].as_array()?.first()?.clone();
        (recording["status"] == "available").then(|| recording["id"].as_str().map(str::to_owned))?
    });
    (server, id)
}

/// What `weir recording verify` ends with and tells.
fn verify(server: &Server, id: &str) -> (Option<i32>, Value) {
    let out = server.weir(&["recording", "verify", id, "--json"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let told = serde_json::from_str(&said);
    (out.status.code(), told.unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&out.stderr))))
}

/// A file of the only reel in the archive.
fn reel_file(server: &Server, name: &str) -> PathBuf {
    let mut folder = server.data_dir().join("archive/show");
    for _ in 0..2 {
        let mut below: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
        assert_eq!(below.len(), 1, "{below:?}");
        folder = below.remove(0).path();
    }
    folder.join(name)
}

fn numbers(address: &Path) -> Vec<u32> {
    look::pictures(&address.display().to_string()).iter().filter_map(|picture| Some(picture.marks?.1)).collect()
}

#[test]
fn a_changed_byte_in_a_recording_is_found_and_named() {
    let (server, id) = recorded("");
    let (status, told) = verify(&server, &id);
    assert_eq!((status, &told["good"]), (Some(0), &true.into()), "{told}");
    let media = told["reels"][0]["media"].as_array().expect("a list");
    let here: Vec<(&str, &str)> =
        media.iter().filter_map(|m| Some((m["rendition"].as_str()?, m["here"].as_str()?))).collect();
    assert_eq!(here, [("source", "whole"), ("audio", "whole")], "{told}");

    let file = reel_file(&server, "source.m4s");
    let good = fs::read(&file).expect("media");
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(&file, &bad).expect("a file");
    let (status, told) = verify(&server, &id);
    let source = &told["reels"][0]["media"][0];
    assert_eq!((status, &source["here"]), (Some(1), &"damaged".into()), "{told}");
    assert_eq!(source["damaged_segments"].as_array().map(Vec::len), Some(1), "{told}");
    fs::remove_file(&file).expect("a file");
    let (status, told) = verify(&server, &id);
    assert_eq!((status, &told["reels"][0]["media"][0]["here"]), (Some(1), &"missing".into()), "{told}");
    let said = server.weir(&["recording", "verify", &id]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("source: MISSING"), "{said:?}");
    fs::write(&file, &good).expect("a file");
    assert_eq!(verify(&server, &id).0, Some(0));
    fs::remove_dir_all(file.parent().expect("a reel")).expect("a reel");
    let (status, told) = verify(&server, &id);
    assert_eq!((status, told["lost"].as_array().map(Vec::len)), (Some(1), Some(1)), "{told}");
    let nobody = server.weir(&["recording", "verify", "nobody"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no recording"), "{nobody:?}");
}

#[test]
fn an_exported_recording_plays_without_a_server() {
    let (server, id) = recorded("");
    let dir = tempfile::tempdir().expect("a folder");
    let (hls, mp4) = (dir.path().join("hls"), dir.path().join("mp4"));
    let text = |path: &Path| path.display().to_string();
    let export = |to: &Path, form: &str| server.weir(&["recording", "export", &id, &text(to), "--as", form]);
    let done = server.weir_json(&["recording", "export", &id, &text(&hls)]);
    assert!(done["bytes"].as_u64() > Some(100_000), "{done}");
    assert!(export(&mp4, "mp4").status.success());
    for again in [&hls, &mp4] {
        let refused = export(again, "hls");
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains("is not empty"), "{why}");
    }
    drop(server);

    let whole: Vec<u32> = (0..12 * 30).collect();
    let index = hls.join("index.m3u8");
    assert_eq!((numbers(&index), look::complaints(&text(&index)).as_str()), (whole.clone(), ""));
    let file = mp4.join("show source.mp4");
    assert_eq!((numbers(&file), look::complaints(&text(&file)).as_str()), (whole, ""));
    assert_eq!(look::track(&text(&index), "audio")["codec_name"], "aac");
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["hls", "mp4"], "nothing unfinished is left");
}

#[test]
fn what_is_in_the_vault_alone_is_verified_and_exported_from_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let vault = dir.path().join("vault");
    let (server, id) =
        recorded(&format!("[vault]\nkind = \"directory\"\nfolder = {:?}\n", vault.display().to_string()));
    let file = reel_file(&server, "source.m4s");
    eventually("a copy", || file.with_file_name("stored").exists().then_some(()));
    let config = server.data_dir().parent().expect("a folder").join("weir.toml").display().to_string();
    let with = |words: &[&str]| server.weir(&[words, &["--config", &config]].concat());
    let told = |words: &[&str]| {
        let out = with(words);
        let told: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"));
        (out.status.code(), told)
    };
    // The vault's copy may be a link to the same file.
    fs::remove_file(&file).expect("media");
    let (status, verdict) = told(&["recording", "verify", &id, "--json"]);
    let source = &verdict["reels"][0]["media"][0];
    assert_eq!((status, &source["here"], &source["vault"]), (Some(0), &"missing".into(), &"whole".into()), "{verdict}");
    let to = dir.path().join("hls");
    assert!(with(&["recording", "export", &id, &to.display().to_string()]).status.success());
    assert_eq!(numbers(&to.join("index.m3u8")), (0..12 * 30).collect::<Vec<u32>>());

    let copy = vault.join(file.strip_prefix(server.data_dir().join("archive")).expect("a path"));
    let mut bytes = fs::read(&copy).expect("a copy");
    bytes[1_000] ^= 1;
    fs::write(&copy, bytes).expect("a copy");
    let (status, verdict) = told(&["recording", "verify", &id, "--json"]);
    assert_eq!((status, &verdict["reels"][0]["media"][0]["vault"]), (Some(1), &"wrong".into()), "{verdict}");
}
