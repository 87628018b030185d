//! Recordings that are copied to a bucket of a real S3 server (s3s-fs), over a network with faults.

#[path = "../../../../vault/tests/stores/kit/proxy.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the vault's own tests, which use all of it")]
mod proxy;
#[path = "../../../../vault/tests/stores/kit/store.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the vault's own tests, which use all of it")]
mod store;

use proxy::{Fault, Proxy};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use store::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use tests::{Clip, Publisher, Server, eventually_within, look};

/// The vault asks a store that was away once a minute at most.
const PATIENCE: Duration = Duration::from_secs(90);

/// A bucket behind a network that may fail.
struct Bucket {
    store: Store,
    proxy: Proxy,
    _runtime: tokio::runtime::Runtime,
}

impl Bucket {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let store = runtime.block_on(Store::start());
        let proxy = runtime.block_on(Proxy::start(store.address));
        Self { store, proxy, _runtime: runtime }
    }

    /// A server that copies to it, with a stream that is always recorded.
    fn server(&self) -> (Server, tests::Stream) {
        let config = format!(
            "[vault]\nkind = \"s3\"\nbucket = \"{BUCKET}\"\nprefix = \"weir\"\npath_style = true\nendpoint = \"http://{}\"\n",
            self.proxy.address
        );
        let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
        let server = Server::start_within(&keys, &config, &["--no-demo"]);
        let stream = server.add_stream("show");
        assert!(server.weir(&["stream", "set", "show", "--ladder", "none", "--record", "always"]).status.success());
        (server, stream)
    }

    /// Its objects by their keys, without the vault's prefix.
    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.store.path("weir"))
    }
}

/// The files below a folder by their paths in it; those that begin with a dot are the store's own.
fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.insert(name, bytes);
        }
    }
    found
}

/// What of the archive is to be copied: media and journals, without the marks of what was.
fn kept(server: &Server) -> BTreeMap<String, Vec<u8>> {
    let mut files = files_below(&server.data_dir().join("archive"));
    files.retain(|name, _| name.ends_with(".m4s") || name.ends_with("/journal"));
    files
}

fn recording(server: &Server) -> Option<Value> {
    server.ask("GET", "/api/v1/recordings")["recordings"].as_array()?.first().cloned()
}

#[track_caller]
fn copied(server: &Server) -> Value {
    eventually_within("a recording whose copy is verified", PATIENCE, || {
        recording(server).filter(|recording| recording["status"] == "available" && recording["copied"] == true)
    })
}

fn id(recording: &Value) -> String {
    recording["id"].as_str().expect("an id").to_owned()
}

fn hls(server: &Server, recording: &Value) -> String {
    server.url(recording["hls"].as_str().expect("a path"))
}

#[test]
fn a_store_that_is_away_loses_nothing_and_is_told_of() {
    let bucket = Bucket::start();
    let (server, stream) = bucket.server();
    bucket.proxy.set(Fault::Refuse);
    let clip = Clip { gop: 60, seconds: 10, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let storage = eventually_within("words about the store", PATIENCE, || {
        let server = server.ask("GET", "/api/v1/server");
        (server["storage"]["copies"]["standing"] == "retrying").then(|| server.clone())
    });
    assert!(storage["storage"]["copies"]["backlog_bytes"].as_u64() > Some(100_000), "{storage}");
    assert!(storage["warnings"].to_string().contains("vault_away"), "{storage}");
    let waiting = recording(&server).expect("a recording");
    assert_eq!((&waiting["copied"], look::complaints(&hls(&server, &waiting)).as_str()), (&false.into(), ""));
    bucket.proxy.set(Fault::None);
    let recording = copied(&server);
    assert_eq!(recording["vault"], format!("s3://{BUCKET}/weir"));
    let (here, there) = (kept(&server), bucket.objects());
    assert!(here.len() >= 3 && here == there, "{:?} and {:?}", here.keys(), there.keys());
}

#[test]
fn a_damaged_upload_is_found_and_the_local_copy_stays() {
    let bucket = Bucket::start();
    let (server, stream) = bucket.server();
    bucket.proxy.set(Fault::Flip);
    let clip = Clip { gop: 60, seconds: 6, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    eventually_within("an upload that was refused", PATIENCE, || {
        (server.metric("weir_vault_pauses_total") > 0.0).then_some(())
    });
    let waiting = recording(&server).expect("a recording");
    assert_eq!((&waiting["copied"], look::complaints(&hls(&server, &waiting)).as_str()), (&false.into(), ""));
    bucket.proxy.set(Fault::None);
    copied(&server);
    assert_eq!(kept(&server), bucket.objects());
}

#[test]
fn what_is_in_the_vault_alone_plays_as_before() {
    let bucket = Bucket::start();
    let (server, stream) = bucket.server();
    let clip = Clip { gop: 60, seconds: 10, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let recording = copied(&server);
    let numbers = |server: &Server| -> Vec<u32> {
        look::pictures(&hls(server, &recording)).iter().filter_map(|picture| Some(picture.marks?.1)).collect()
    };
    let before = numbers(&server);
    let file = format!("/vod/{}/source/download-1.mp4", id(&recording));
    let whole = server.get(&file).body;
    assert!(whole.len() > 100_000, "{}", whole.len());
    // A reserve larger than any disk: what is copied has to make room.
    let settings = [("WEIR_ARCHIVE__WHEN_FULL", "delete_oldest"), ("WEIR_ARCHIVE__RESERVE_MIB", "1048576")];
    let server = server.start_again_with(&settings);
    eventually_within("room", PATIENCE, || (!kept(&server).keys().any(|name| name.ends_with(".m4s"))).then_some(()));
    assert_eq!((numbers(&server), before.len()), (before.clone(), 300));
    assert!(server.get(&file).body == whole, "the MP4 file is the same, byte by byte");
    let some = server.get_with(&file, &[("Range", "bytes=90000-99999")]);
    assert!(some.status == 206 && some.body == whole[90_000..100_000], "{}", some.status);
    let ts = hls(&server, &recording).replace("index.m3u8", "ts.m3u8");
    let muxed: Vec<u32> = look::pictures(&ts).iter().filter_map(|picture| Some(picture.marks?.1)).collect();
    assert_eq!(muxed, before, "MPEG-TS is made of what comes from there too");
    // So does a replay of it.
    server.add_stream("again");
    assert!(server.weir(&["stream", "set", "again", "--ladder", "none"]).status.success());
    let replayed = server.weir(&["replay", &id(&recording), "--to", "again"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let source = eventually_within("the replay", PATIENCE, || server.variants("again").into_iter().next());
    let seen = look::pictures(&server.record(&source, 4).only_file());
    let seen: Vec<u32> = seen.iter().filter_map(|picture| Some(picture.marks?.1)).collect();
    assert_eq!(seen, before[..240]);
    bucket.proxy.set(Fault::CutDownload(20_000));
    assert_eq!(numbers(&server), before, "downloads go on where they broke off");
    assert!(server.get(&file).body == whole, "so do those of the file");
    bucket.proxy.set(Fault::Refuse);
    assert_ne!(look::complaints(&hls(&server, &recording)), "", "what does not come is no end");
}

#[test]
fn deleting_leaves_no_object_and_no_row_also_when_killed_in_the_middle() {
    let bucket = Bucket::start();
    let (server, stream) = bucket.server();
    let clip = Clip { gop: 60, seconds: 6, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let recording = copied(&server);
    assert!(bucket.objects().len() >= 3);
    bucket.proxy.set(Fault::Refuse);
    server.tell("DELETE", &format!("/api/v1/recordings/{}", id(&recording)), "");
    eventually_within("an empty archive", PATIENCE, || kept(&server).is_empty().then_some(()));
    assert!(bucket.objects().len() >= 3, "the store does not answer");
    let server = server.start_again();
    bucket.proxy.set(Fault::None);
    eventually_within("an empty bucket", PATIENCE, || bucket.objects().is_empty().then_some(()));
    assert_eq!(server.ask("GET", "/api/v1/recordings")["total"], 0);
}
