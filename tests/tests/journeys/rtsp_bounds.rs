//! Readers over RTSP that ask for more than there is: they get an answer or are closed, and nobody else notices.

use super::rtsp::{assert_whole, reader, server, url};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use tests::{Clip, Publisher, Server, eventually, run, run_ok, tool};

/// Media over the connection itself.
const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";
/// Media over UDP, to ports where nobody is.
const UDP: &str = "Transport: RTP/AVP;unicast;client_port=9998-9999";
/// A server that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// A program that speaks RTSP word by word.
struct Guest {
    base: String,
    write: Box<dyn Write>,
    bytes: Receiver<Vec<u8>>,
    read: Vec<u8>,
    line: Line,
}

/// What a guest has to end when it goes.
enum Line {
    Clear(TcpStream),
    /// What speaks TLS for it.
    Tls(Child),
}

impl Drop for Guest {
    fn drop(&mut self) {
        match &mut self.line {
            Line::Clear(stream) => drop(stream.shutdown(Shutdown::Both)),
            Line::Tls(child) => drop((child.kill(), child.wait())),
        }
    }
}

/// What comes of a server.
enum Heard {
    /// Head and body.
    Answer(String),
    /// The bytes of a packet of media.
    Packet(usize),
}

impl Guest {
    /// Connects, to ask for what is at this path.
    fn come(server: &Server, path: &str) -> Self {
        let door = server.door("rtsp");
        let stream = TcpStream::connect(door.parse::<SocketAddr>().expect("an address")).expect("the door is open");
        let [read, write] = [(); 2].map(|()| stream.try_clone().expect("a socket"));
        Self::of(format!("rtsp://{door}/{path}"), read, Box::new(write), Line::Clear(stream))
    }

    /// The same over RTSPS.
    fn come_over_tls(server: &Server, path: &str) -> Self {
        let door = server.door("rtsps");
        let mut command = Command::new(tool("openssl"));
        command.args(["s_client", "-quiet", "-connect", &door]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut tls = command.stderr(Stdio::null()).spawn().expect("openssl starts");
        let (read, write) = (tls.stdout.take().expect("a pipe"), tls.stdin.take().expect("a pipe"));
        Self::of(format!("rtsps://{door}/{path}"), read, Box::new(write), Line::Tls(tls))
    }

    fn of(base: String, mut from: impl Read + Send + 'static, write: Box<dyn Write>, line: Line) -> Self {
        let (give, bytes) = sync_channel(4_096);
        std::thread::spawn(move || {
            let mut room = [0; 16 << 10];
            while let Ok(count @ 1..) = from.read(&mut room)
                && give.send(room[..count].to_vec()).is_ok()
            {}
        });
        Self { base, write, bytes, read: Vec::new(), line }
    }

    /// Asks, and waits for nothing.
    fn say(&mut self, method: &str, track: &str, fields: &str) {
        let fields: String = fields.lines().map(|field| format!("{field}\r\n")).collect();
        let request = format!("{method} {}{track} RTSP/1.0\r\nCSeq: 1\r\n{fields}\r\n", self.base);
        // Whoever was closed hears it when it listens.
        let _closed = self.write.write_all(request.as_bytes()).and_then(|()| self.write.flush());
    }

    /// The next that comes; `None` when the connection was closed.
    #[track_caller]
    fn hear(&mut self) -> Option<Heard> {
        loop {
            if let [b'$', _, high, low, ..] = self.read[..] {
                let size = usize::from(u16::from_be_bytes([high, low]));
                if self.read.len() >= 4 + size {
                    self.read.drain(..4 + size);
                    return Some(Heard::Packet(size));
                }
            } else if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let whole = end + 4 + length.map_or(0, |length| length.trim().parse().expect("a number"));
                if self.read.len() >= whole {
                    let answer: Vec<u8> = self.read.drain(..whole).collect();
                    return Some(Heard::Answer(String::from_utf8(answer).expect("text")));
                }
            }
            match self.bytes.recv_timeout(PATIENCE) {
                Ok(bytes) => self.read.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("{} says nothing", self.base),
            }
        }
    }

    /// The next answer, whatever media comes before it; `None` when the connection was closed.
    #[track_caller]
    fn answer(&mut self) -> Option<String> {
        loop {
            if let Heard::Answer(answer) = self.hear()? {
                return Some(answer);
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, method: &str, track: &str, fields: &str) -> String {
        self.say(method, track, fields);
        self.answer().unwrap_or_else(|| panic!("{method} {}{track}: closed", self.base))
    }

    /// [`Guest::ask`] for what must be given.
    #[track_caller]
    fn get(&mut self, method: &str, track: &str, fields: &str) -> String {
        let answer = self.ask(method, track, fields);
        assert!(answer.starts_with("RTSP/1.0 200"), "{method} {}{track} {fields}: {answer}", self.base);
        answer
    }

    /// Sets a track up; gives the field that names the session.
    #[track_caller]
    fn set_up(&mut self, fields: &str) -> String {
        let answer = self.get("SETUP", "/stream=0", fields);
        let session = answer.lines().find(|line| line.starts_with("Session: ")).expect("a session");
        session.split(';').next().expect("a name").to_owned()
    }
}

/// A server with RTSP whose `[rtsp]` has these lines too, and a stream that is live for a minute.
fn live(more: &str) -> (Server, Clip, Publisher) {
    let (server, stream) = server(more);
    let clip = Clip { seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.variants("show");
    (server, clip, publisher)
}

/// The process that serves readers.
fn worker(server: &Server) -> u32 {
    let serves = |pid: &u32| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("\0rtsp")
    };
    server.workers().into_iter().find(serves).expect("a worker serves readers")
}

/// How many threads a process has.
fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

#[test]
fn who_sets_up_again_and_again_costs_one_reader_and_disturbs_none() {
    let (server, clip, _publisher) = live("");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("read.mkv");
    let mut reader = reader(&url(&server, "show"), "tcp", &file, &["-t", "12"]);
    eventually("it reads", || (server.metric("weir_rtsp_sent_bytes_total") > 0.0).then_some(()));
    let (worker, mut guest) = (worker(&server), Guest::come(&server, "show"));
    for count in 0..600 {
        // A connection has channels for 128 tracks in its life.
        let answer = guest.ask("SETUP", "/stream=0", TCP);
        let status = if count < 128 { "RTSP/1.0 200" } else { "RTSP/1.0 461" };
        assert!(answer.starts_with(status), "{count}: {answer}");
    }
    assert!(threads(worker) < 40, "{} threads serve two readers", threads(worker));
    drop(guest);
    for _ in 0..600 {
        // Of those that have just left some may have a place still.
        eventually("there is a place", || {
            let mut guest = Guest::come(&server, "show");
            let answer = guest.ask("SETUP", "/stream=0", TCP);
            assert!(answer.starts_with("RTSP/1.0 200") || answer.starts_with("RTSP/1.0 453 32 read"), "{answer}");
            answer.starts_with("RTSP/1.0 200").then_some(())
        });
    }
    assert!(reader.expect_end(Duration::from_secs(40)).success(), "{}", reader.said());
    assert_whole(&file, &clip, 200);
    assert_eq!(server.metric("weir_rtsp_worker_failures_total"), 0.0);
    eventually("nobody is left", || (server.metric("weir_rtsp_readers") == 0.0).then_some(()));
}

#[test]
fn who_gets_no_datagrams_goes_over_to_tcp_on_the_same_connection() {
    let (server, _clip, _publisher) = live("");
    let mut guest = Guest::come(&server, "show");
    guest.get("DESCRIBE", "", "");
    let first = guest.set_up(UDP);
    guest.get("PLAY", "", &first);
    guest.get("PAUSE", "", &first);
    // As ffmpeg does: without a word about the session it has.
    let second = guest.set_up(TCP);
    assert_ne!(first, second);
    guest.get("PLAY", "", &second);
    assert!((0..100).all(|_| matches!(guest.hear(), Some(Heard::Packet(_)))), "media comes");
    let answer = guest.ask("GET_PARAMETER", "", &first);
    assert!(answer.starts_with("RTSP/1.0 454"), "its first session is over: {answer}");
}

#[test]
fn who_comes_while_a_worker_starts_finds_no_more_places_than_later() {
    let (server, _clip, _publisher) = live("");
    let mut guests: Vec<Guest> = (0..40).map(|_| Guest::come(&server, "show")).collect();
    guests.iter_mut().for_each(|guest| guest.say("DESCRIBE", "", ""));
    let answers: Vec<String> = guests.iter_mut().filter_map(Guest::answer).collect();
    let got = |status: &str| answers.iter().filter(|answer| answer.starts_with(&format!("RTSP/1.0 {status}"))).count();
    assert_eq!((got("200"), got("453 32 read this already")), (32, 8), "{answers:?}");
    assert_eq!(server.metric("weir_rtsp_readers"), 32.0);
    drop(guests);
    let shown = ["-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    eventually("who comes now gets a place", || {
        let said = run(tool("ffprobe"), shown.iter().chain(&[url(&server, "show").as_str()]));
        String::from_utf8_lossy(&said.stdout).contains("h264").then_some(())
    });
    assert_eq!(server.metric("weir_rtsp_worker_failures_total"), 0.0);
}

#[test]
fn a_reader_over_rtsps_takes_no_place_of_who_comes_and_is_over_with_its_worker() {
    // So few files leave room for five that were let in nowhere yet, and for seven readers.
    let more = "[rtsp]\nenabled = true\nlisten = \"127.0.0.1:0\"\ntls_listen = \"127.0.0.1:0\"\n";
    let server = Server::start_with_files(160, more);
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip { seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    server.variants("show");
    let before = server.descriptors();
    let mut guests = Vec::new();
    for _ in 0..7 {
        let mut guest = Guest::come_over_tls(&server, "show");
        guest.get("DESCRIBE", "", "");
        let refused = guest.ask("SETUP", "/stream=0", UDP);
        assert!(refused.starts_with("RTSP/1.0 461"), "its media would be in clear: {refused}");
        guest.set_up(TCP);
        guests.push(guest);
    }
    let full = Guest::come_over_tls(&server, "show").ask("DESCRIBE", "", "");
    assert!(full.starts_with("RTSP/1.0 453 No more readers fit"), "{full}");
    server.kill(worker(&server));
    for guest in &mut guests {
        assert_eq!(guest.answer(), None, "it is told");
    }
    eventually("nothing is kept for those who stay", || (server.descriptors() <= before + 4).then_some(()));
    let turned_away = || {
        let text = server.get("/metrics").text();
        let count =
            |line: &str| line.strip_prefix("weir_rtsp_refused_total{cause=\"global_cap\"} ")?.parse::<u64>().ok();
        text.lines().find_map(count).unwrap_or(0)
    };
    let earlier = turned_away();
    let connect = |_| TcpStream::connect(server.door("rtsp")).expect("the door is open");
    let _silent: Vec<TcpStream> = (0..6).map(connect).collect();
    eventually("five may be silent", || (turned_away() == earlier + 1).then_some(()));
}

#[test]
fn who_wants_tiny_packets_gets_usual_ones() {
    let (server, _clip, _publisher) = live("");
    for size in [1, 60, 100_000] {
        let mut guest = Guest::come(&server, "show");
        guest.get("DESCRIBE", "", "");
        let session = guest.set_up(&format!("{TCP}\nBlocksize: {size}"));
        guest.get("PLAY", "", &session);
        let largest = (0..100).filter_map(|_| guest.hear()).filter_map(|heard| match heard {
            Heard::Packet(size) => Some(size),
            Heard::Answer(_) => None,
        });
        let largest = largest.max().expect("media comes");
        assert!((500..=1_500).contains(&largest), "{size}: {largest}");
    }
}

#[test]
fn a_query_behind_the_name_changes_nothing() {
    let (server, _clip, _publisher) = live("");
    let shown = ["-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let said = run_ok(tool("ffprobe"), shown.iter().chain(&[url(&server, "show?tcp").as_str()]));
    assert!(said.contains("h264"), "{said}");
    // Some put the track behind the query, some don't ask for a description.
    for is_described in [true, false] {
        let mut guest = Guest::come(&server, "show/?channel=1&sub=0");
        if is_described {
            guest.get("DESCRIBE", "", "");
        }
        let session = guest.set_up(TCP);
        guest.get("PLAY", "", &session);
        assert!(matches!(guest.hear(), Some(Heard::Packet(_))), "media comes");
    }
}

#[test]
fn no_more_readers_come_in_than_the_operator_wants_and_none_gets_datagrams() {
    let (server, _clip, _publisher) = live("readers_max = 1\nudp = false\n");
    let folder = tempfile::tempdir().expect("a folder");
    let mut refused = reader(&url(&server, "show"), "udp", &folder.path().join("udp.mkv"), &["-t", "2"]);
    assert!(!refused.expect_end(Duration::from_secs(30)).success());
    assert!(refused.said().contains("461"), "{}", refused.said());
    eventually("its place is free", || (server.metric("weir_rtsp_readers") == 0.0).then_some(()));
    let mut guest = Guest::come(&server, "show");
    guest.get("DESCRIBE", "", "");
    let full = Guest::come(&server, "show").ask("DESCRIBE", "", "");
    assert!(full.starts_with("RTSP/1.0 453 No more readers fit"), "{full}");
    drop(guest);
    eventually("its place is free", || (server.metric("weir_rtsp_readers") == 0.0).then_some(()));
    let mut last = reader(&url(&server, "show"), "tcp", &folder.path().join("tcp.mkv"), &["-t", "2"]);
    assert!(last.expect_end(Duration::from_secs(30)).success(), "{}", last.said());
}
