//! Shows that go on, and begin, while the database is locked or away.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use tests::{Clip, Publisher, Server, Stream, eventually, run_ok, workspace_dir};

/// A program that says one line and then stays until its standard input ends, which it does with this process too.
struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
    said: String,
}

impl Holder {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut said = String::new();
        let out = child.stdout.take().expect("it was asked for");
        BufReader::new(out).read_line(&mut said).expect("it says a line");
        let stdin = child.stdin.take();
        Self { child, stdin, said: said.trim().to_owned() }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().expect("it ends");
    }
}

/// Publishes twice, so that two sessions begin; the numbers of the second, whose newest is returned, follow those of the first.
fn two_sessions(server: &Server, stream: &Stream) -> u64 {
    let newest = |what: &str, at_least: u64| {
        eventually(what, || {
            let path = server.get("/live/show/index.m3u8").ok().map(|text| tests::hls::multivariant(&text))?;
            let path = tests::hls::resolve("/live/show/index.m3u8", &path.variants.first()?["URI"]);
            let list = tests::hls::media(&server.get(&path).ok()?);
            let segment = list.complete().last()?;
            (segment.number >= at_least && !list.ended).then_some((path.clone(), segment.number, list.sequence))
        })
    };
    let clip = Clip::default();
    let first = Publisher::push(&clip, &server.publish_url(stream));
    let (path, last, _) = newest("the first session", 2);
    // A goodbye ends the session, so that the next one is another.
    first.stop();
    eventually("the first session is over", || server.media(&path).ended.then_some(()));
    let _second = Publisher::push(&clip, &server.publish_url(stream));
    let (other, number, first) = newest("the second session", last + 2);
    assert!(other != path, "a session of its own");
    assert!(first > last, "numbers from {first} on behind {last}");
    number
}

/// The database, which is back, has what a restart goes on with; `number` was the newest before.
fn is_caught_up(server: Server, stream: &Stream, number: u64) {
    eventually("it is caught up with", || server.log().contains("takes notes of sessions again").then_some(()));
    let complaints = server.log().matches("the database takes no notes").count();
    assert_eq!(complaints, 1, "one line:\n{}", server.log());
    assert!(server.metric("weir_store_errors_total") >= 1.0);
    let server = server.start_again();
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(stream));
    let path = server.variants("show").remove(0);
    let first = server.media(&path).sequence;
    assert!(first > number, "numbers go on from {first} behind {number}");
}

#[test]
fn a_session_begins_while_another_process_holds_the_databases_lock() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let script = "import sqlite3, sys\n\
        c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        c.execute('begin immediate')\n\
        print('held', flush=True)\n\
        sys.stdin.read()";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(server.data_dir().join("weir.db"));
    let lock = Holder::start(command);
    assert_eq!(lock.said, "held");
    let number = two_sessions(&server, &stream);
    drop(lock);
    is_caught_up(server, &stream, number);
}

#[test]
fn a_session_begins_while_postgres_is_down() {
    let mut command = Command::new(workspace_dir().join("scripts/with-postgres"));
    command.args(["sh", "-c", r#"echo "$WEIR_TEST_POSTGRES $WEIR_TEST_POSTGRES_CONTROL"; exec cat"#]);
    let postgres = Holder::start(command);
    let (address, control) = postgres.said.split_once(' ').expect("an address and a program");
    let server = Server::start_configured(&format!("database = \"{address}\"\n"), &["--no-demo"]);
    let config = server.data_dir().with_file_name("weir.toml").display().to_string();
    let made = server.weir_json(&["stream", "add", "show", "--config", &config]);
    let stream = Stream { name: "show".into(), key: made["key"].as_str().expect("a key").to_owned() };
    // Keys that were seen before work while the database is away; a server sees all at its start.
    let server = server.start_again();
    run_ok(control, ["stop", "-m", "fast"]);
    let number = two_sessions(&server, &stream);
    run_ok(control, ["start"]);
    is_caught_up(server, &stream, number);
}
