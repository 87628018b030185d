//! Players behind a pipe that holds little: what they are sent, what the slow ones lose, and how they end.

use bytes::{Bytes, BytesMut};
use media::{AccessUnit, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};
use playout::{Broadcast, Limits, Playout};
use rtmp::amf0::{self, Value};
use rtmp::chunk::{ChunkReader, ChunkWriter, Message, kind};
use rtmp::{Event, ServerSession};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine; only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the pipe between a player and the server holds.
const PIPE: usize = 16 << 10;
/// Pictures between two keyframes.
const GROUP: u32 = 10;

/// A player's end.
struct Player {
    pipe: DuplexStream,
    reader: ChunkReader,
    unread: BytesMut,
    served: JoinHandle<()>,
}

fn command(name: &str, arguments: &[Value]) -> Bytes {
    let mut payload = BytesMut::new();
    for value in [&[name.into(), 1.0.into()], arguments].concat() {
        amf0::write(&mut payload, &value);
    }
    let mut out = BytesMut::new();
    let message = Message { kind: kind::COMMAND, stream: 1, timestamp: 0, payload: payload.freeze() };
    ChunkWriter::new().write(&mut out, 3, &message);
    out.freeze()
}

impl Player {
    /// A player whose request waits for the yes, which it then gets.
    fn start(playout: &Playout, broadcast: &Broadcast, stop: &CancellationToken) -> Self {
        Self::start_behind(|pipe| pipe, playout, broadcast, stop)
    }

    /// The same behind a pipe that is made into something else.
    fn start_behind<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        pipe_of: impl FnOnce(DuplexStream) -> S,
        playout: &Playout,
        broadcast: &Broadcast,
        stop: &CancellationToken,
    ) -> Self {
        let mut session = ServerSession::new();
        let mut hello = [0; 3073];
        hello[0] = 3;
        session.input(&hello).expect("a simple handshake");
        session.input(&command("connect", &[Value::Object(vec![("app".to_owned(), "live".into())])])).expect("connect");
        session.input(&command("createStream", &[Value::Null])).expect("createStream");
        session.input(&command("play", &[Value::Null, "show".into()])).expect("play");
        assert!(matches!(session.next_event(), Some(Event::PlayRequested(_))));
        let mut reader = ChunkReader::new();
        reader.trust();
        let answers = session.take_output();
        let mut answers = &answers[3073..];
        while reader.read(&mut answers).expect("our own chunks").is_some() {}
        let (pipe, theirs) = duplex(PIPE);
        let theirs = pipe_of(theirs);
        let seat = playout.seat([192, 0, 2, 1].into()).expect("a seat");
        let (tuner, stop) = (broadcast.tuner().tune(), stop.clone());
        let served =
            tokio::spawn(async move { seat.play(theirs, session, &tuner, stop, &tracing::Span::none()).await });
        Self { pipe, reader, unread: BytesMut::new(), served }
    }

    /// The next message; `None` when the server has closed.
    async fn message(&mut self) -> Option<Message> {
        loop {
            let mut bytes = &self.unread[..];
            let read = self.reader.read(&mut bytes).expect("legal chunks");
            let left = bytes.len();
            let _taken = self.unread.split_to(self.unread.len() - left);
            if read.is_some() {
                return read;
            }
            if timeout(PATIENCE, self.pipe.read_buf(&mut self.unread)).await.expect("no hang").expect("a pipe") == 0 {
                return None;
            }
        }
    }

    /// The number of the next picture.
    async fn picture(&mut self) -> u32 {
        loop {
            let message = self.message().await.expect("a picture");
            if (message.kind, message.payload.get(1)) == (kind::VIDEO, Some(&1)) {
                return message.timestamp / 40;
            }
        }
    }

    /// Numbers of the pictures up to the end, and the codes of what was said.
    async fn rest(mut self) -> (Vec<u32>, Vec<String>) {
        let (mut pictures, mut codes) = (Vec::new(), Vec::new());
        while let Some(message) = self.message().await {
            match (message.kind, message.payload.get(1)) {
                (kind::VIDEO, Some(1)) => pictures.push(message.timestamp / 40),
                (kind::COMMAND, _) => {
                    let values = amf0::read_all(&message.payload).expect("our own AMF0");
                    codes.extend(values.last().and_then(|v| v.get("code")?.as_str().map(str::to_owned)));
                }
                _ => {}
            }
        }
        timeout(PATIENCE, self.served).await.expect("no hang").expect("no panic");
        (pictures, codes)
    }
}

/// A pipe whose writer panics once it is told to.
struct Cursed {
    pipe: DuplexStream,
    is_due: Arc<AtomicBool>,
}

impl AsyncRead for Cursed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, into)
    }
}

impl AsyncWrite for Cursed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.is_due.swap(false, Ordering::Relaxed), "as it was told to");
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// Gives pictures of 1,000 bytes, one each 40 ms.
fn give(broadcast: &Broadcast, numbers: std::ops::Range<u32>) {
    let config = Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1, 2, 3]),
        nal_length_size: 4,
        width: 16,
        height: 16,
        sample_aspect: (1, 1),
        codecs: String::new(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    });
    for n in numbers {
        let (at, data) = (MediaTime::from_millis(i64::from(n) * 40), vec![1; 1000].into());
        let config = Config::Video(Arc::clone(&config));
        broadcast.push(&AccessUnit { config, dts: at, pts: at, sync: n.is_multiple_of(GROUP), data });
    }
}

fn playout(limits: Limits) -> (Playout, Broadcast, CancellationToken) {
    let playout = Playout::new(limits);
    let broadcast = playout.broadcast();
    (playout, broadcast, CancellationToken::new())
}

#[tokio::test]
async fn everything_from_the_newest_keyframe_to_the_end_is_sent_and_the_end_is_told() {
    let (playout, broadcast, stop) = playout(Limits::default());
    give(&broadcast, 0..25);
    let mut player = Player::start(&playout, &broadcast, &stop);
    while player.message().await.expect("a picture").kind != kind::VIDEO {}
    assert_eq!((broadcast.tuner().players(), playout.players()), (1, 1));
    give(&broadcast, 25..60);
    drop(broadcast);
    let (pictures, codes) = player.rest().await;
    assert_eq!(pictures, (20..60).collect::<Vec<_>>());
    assert_eq!(codes, ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
    assert_eq!(playout.players(), 0);
}

#[tokio::test]
async fn who_is_behind_loses_whole_groups_and_goes_on_at_the_newest_keyframe() {
    let (playout, broadcast, stop) = playout(Limits { span: Duration::from_secs(2), ..Limits::default() });
    give(&broadcast, 0..1);
    let mut player = Player::start(&playout, &broadcast, &stop);
    while player.message().await.expect("a picture").kind != kind::VIDEO {}
    // Far more than the pipe and a batch hold, while nothing is read.
    for begin in (1..2000).step_by(20) {
        give(&broadcast, begin..begin + 20);
        tokio::task::yield_now().await;
    }
    drop(broadcast);
    let (pictures, _) = player.rest().await;
    assert!(pictures.windows(2).all(|pair| pair[0] < pair[1]), "{pictures:?}");
    let jumps: Vec<_> = pictures.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
    assert!(!jumps.is_empty() && jumps.iter().all(|pair| pair[1].is_multiple_of(GROUP)), "{jumps:?}");
    assert_eq!(pictures.last(), Some(&2000), "it is given the newest");
}

#[tokio::test]
async fn a_hundred_are_given_everything_though_one_of_them_is_slow_and_one_breaks_what_writes_to_it() {
    let limits = Limits { players_per_address: 200, ..Limits::default() };
    let (playout, broadcast, stop) = playout(limits);
    give(&broadcast, 0..1);
    let is_due = Arc::new(AtomicBool::new(false));
    let cursed = |pipe| Cursed { pipe, is_due: Arc::clone(&is_due) };
    let mut cursed = Player::start_behind(cursed, &playout, &broadcast, &stop);
    let mut slow = Player::start(&playout, &broadcast, &stop);
    let mut players: Vec<_> = (0..100).map(|_| Player::start(&playout, &broadcast, &stop)).collect();
    for player in players.iter_mut().chain([&mut slow, &mut cursed]) {
        assert_eq!(player.picture().await, 0);
    }
    is_due.store(true, Ordering::Relaxed);
    for n in 1..100 {
        give(&broadcast, n..n + 1);
        for player in &mut players {
            assert_eq!(player.picture().await, n);
        }
    }
    assert!(cursed.rest().await.0.is_empty(), "it ends alone");
    drop(broadcast);
    assert_eq!(slow.rest().await.0, (1..100).collect::<Vec<_>>());
    for player in players {
        assert_eq!(player.rest().await.1.last().map(String::as_str), Some("NetStream.Play.Stop"));
    }
    assert_eq!(playout.players(), 0);
}

#[tokio::test]
async fn whoever_is_there_is_sent_away_and_who_comes_afterwards_stays() {
    let (playout, broadcast, stop) = playout(Limits::default());
    give(&broadcast, 0..1);
    let mut present = Player::start(&playout, &broadcast, &stop);
    while present.message().await.expect("a picture").kind != kind::VIDEO {}
    // This one has its place, and has not begun to play.
    let judged = Player::start(&playout, &broadcast, &stop);
    broadcast.tuner().send_away();
    let later = Player::start(&playout, &broadcast, &stop);
    for sent_away in [present, judged] {
        let (_, codes) = sent_away.rest().await;
        assert_eq!(codes.last().map(String::as_str), Some("NetStream.Play.Stop"));
    }
    give(&broadcast, 1..5);
    drop(broadcast);
    assert_eq!(later.rest().await.0, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_player_may_leave_and_a_server_that_stops_says_so() {
    let (playout, broadcast, stop) = playout(Limits::default());
    give(&broadcast, 0..1);
    let mut leaving = Player::start(&playout, &broadcast, &stop);
    let staying = Player::start(&playout, &broadcast, &stop);
    leaving.pipe.write_all(&command("deleteStream", &[Value::Null, 1.0.into()])).await.expect("a pipe");
    let (_, codes) = leaving.rest().await;
    assert!(!codes.contains(&"NetStream.Play.Stop".to_owned()), "{codes:?}");
    stop.cancel();
    let (_, codes) = staying.rest().await;
    assert_eq!(codes.last().map(String::as_str), Some("NetStream.Play.Stop"));
}
