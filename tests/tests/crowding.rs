//! More than the machine can encode: three ladders of 1080p30, and programs that take the processor from them. It has a test
//! program of its own, as nothing that measures time can run beside it.

use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::{Clip, Follower, Process, Publisher, Server, eventually, eventually_within, get, hls, tool};

/// How old the newest picture of a passthrough may be. It is a part and a little on an idle machine; players hold back three
/// parts and have as much again in their buffers.
const LATE_MAX: Duration = Duration::from_secs(2);

/// Looks five times a second at how old the newest parts are, and keeps the oldest.
struct Lateness {
    stop: Arc<AtomicBool>,
    worst: Arc<Mutex<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Lateness {
    fn watch(address: SocketAddr, paths: Vec<String>) -> Self {
        let (stop, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Duration::ZERO)));
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&worst));
        let look = move || {
            while !stopped.load(Ordering::Relaxed) {
                for path in &paths {
                    let answer = get(address, path).expect("the server answers");
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                    let end = newest_end_ms(&hls::media(&answer.text())).expect("a dated segment");
                    let late = now.saturating_sub(Duration::from_millis(end));
                    let mut worst = told.lock().expect("nobody panics with it");
                    *worst = worst.max(late);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        };
        Self { stop, worst, thread: Some(std::thread::spawn(look)) }
    }

    fn end(mut self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("taken once, here").join().expect("the watcher does not panic");
        *self.worst.lock().expect("the watcher has ended")
    }
}

/// When the newest part ends, milliseconds since 1970, by the date of its segment.
fn newest_end_ms(list: &hls::Media) -> Option<u64> {
    let dated = list.segments.iter().rposition(|segment| segment.wall.is_some())?;
    let length = |segment: &hls::Segment| match segment.uri.is_empty() {
        true => segment.parts.iter().map(|part| part.duration).sum(),
        false => segment.duration,
    };
    let seconds: f64 = list.segments[dated..].iter().map(length).sum();
    let wall = hls::wall_ms(list.segments[dated].wall.as_deref()?);
    u64::try_from(wall).ok().map(|wall| wall + (seconds * 1_000.0) as u64)
}

/// A program that only takes processor time.
fn hog() -> Process {
    let mut command = Command::new(tool("sh"));
    command.args(["-c", "while :; do :; done"]);
    Process::start("processor hog", command)
}

fn live(server: &Server, name: &str) -> Value {
    serde_json::from_str(&server.get(&format!("/api/v1/live/{name}")).text()).expect("JSON")
}

fn resting(server: &Server, name: &str) -> Vec<String> {
    let live = live(server, name);
    let all = live["renditions"].as_array().expect("a list");
    let rest = all.iter().filter(|rendition| rendition["resting"] == true);
    rest.map(|rendition| rendition["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn three_ladders_and_a_busy_machine_cost_renditions_and_never_passthrough() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let clip = Clip { size: (1920, 1080), gop: 60, seconds: 12, kbps: 4_000, ..Clip::default() };
    clip.file();
    let server = Server::start();
    let names = ["one", "two", "three"];
    let mut publishers = Vec::new();
    for name in names {
        let url = server.publish_url(&server.add_stream(name));
        publishers.push(Publisher::endless(&clip, &url));
        // One after the other, so that each finds what those before it left.
        server.play(name);
    }

    // What did not fit is said at once, in the API and in the metrics.
    let withheld = |name| live(&server, name)["withheld"].as_array().map_or(0, Vec::len);
    let all: Vec<usize> = names.map(withheld).into();
    assert_eq!(server.metric("weir_session_rungs_withheld_total"), all.iter().sum::<usize>() as f64, "{all:?}");
    assert!(cores > 2 || all.iter().sum::<usize>() > 0, "two cores can't encode three such ladders: {all:?}");
    assert!(all.is_sorted(), "who comes later gets less: {all:?}");

    let sources: Vec<String> = names.iter().map(|name| server.variants(name).remove(0)).collect();
    assert!(sources.iter().all(|path| path.contains("source")), "{sources:?}");
    let followers: Vec<Follower> = sources.iter().map(|path| Follower::start(server.http, path)).collect();
    let lateness = Lateness::watch(server.http, sources.clone());

    let hogs: Vec<Process> = (0..4 * cores).map(|_| hog()).collect();
    let hungry = eventually_within("a rendition is shed", Duration::from_secs(90), || {
        names.iter().find(|name| !resting(&server, name).is_empty())
    });
    let shed = resting(&server, hungry).remove(0);
    let source = server.variants(hungry).remove(0);
    let path = source.replace("/source.m3u8", &format!("/{shed}.m3u8"));
    let gaps = eventually("its playlist lists gaps", || {
        let list = server.media(&path);
        assert!(!list.ended, "a rendition that rests has not ended");
        let is_gap = |segment: &hls::Segment| segment.gap || segment.parts.iter().any(|part| part.gap);
        Some(list.segments.iter().filter(|segment| is_gap(segment)).count()).filter(|count| *count > 0)
    });
    eventually("who comes now is not offered it", || (!server.variants(hungry).contains(&path)).then_some(()));
    drop(hogs);
    assert!(server.metric("weir_transcoder_rungs_shed_total") >= 1.0);
    assert!(server.log().contains("too slow for all renditions"), "the log says so");

    let late = lateness.end();
    println!("withheld {all:?}; {hungry} lost {shed} ({gaps} gaps so far); passthrough at most {late:?} old");
    assert!(late < LATE_MAX, "passthrough was {late:?} late");
    for (name, follower) in names.iter().zip(&followers) {
        let seen = follower.seen();
        assert!(seen.faults.is_empty(), "{name}: {:?}", seen.faults);
        assert_eq!((seen.gaps(), seen.discontinuities(), seen.ended), (vec![], vec![], false), "{name}");
    }
    assert!(publishers.iter_mut().all(Publisher::is_running), "an encoder lost its connection");
    assert_eq!(server.metric("weir_session_away_total"), 0.0, "no session was without its publisher");
}
