//! Bad clients: ten kinds of what a server on the internet meets, many of each at once.
//!
//! None of them closes a connection that the server still holds: what they open, the server must reclaim. Each kind comes from
//! an address of its own on loopback, except those who guess keys: they come from the good publishers' address.

use crate::push::Push;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// Between two connections of one client.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two bytes or lines of those who drip.
const DRIP: Duration = Duration::from_millis(100);

/// What one client does to the server, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Bytes that mean nothing.
    Garbage,
    /// Half an RTMP handshake, then silence.
    HalfHandshake,
    /// An RTMP handshake by the byte.
    SlowHandshake,
    /// A handshake, then silence.
    Idle,
    /// Publishing with keys that are none, as fast as they are refused.
    WrongKeys,
    /// Thousands of createStream.
    CreateStreams,
    /// A connect of three thousand nested objects.
    AmfBomb,
    /// A request head that never ends.
    HeaderDrip,
    /// Hundreds of requests and no answer read.
    StalledReader,
    /// Ranges, paths, hosts, bodies and reloads that nobody needs.
    Tricks,
}

impl Deed {
    /// All ten.
    pub const ALL: [Self; 10] = [
        Self::Garbage,
        Self::HalfHandshake,
        Self::SlowHandshake,
        Self::Idle,
        Self::WrongKeys,
        Self::CreateStreams,
        Self::AmfBomb,
        Self::HeaderDrip,
        Self::StalledReader,
        Self::Tricks,
    ];
}

/// The crowd, in a thread of its own.
pub struct Rabble {
    thread: JoinHandle<Vec<(Deed, usize)>>,
}

/// Whom they bother.
#[derive(Clone)]
struct Target {
    rtmp: SocketAddr,
    http: SocketAddr,
    /// A playlist and an object that is large enough to stall on.
    playlist: String,
    object: String,
}

impl Rabble {
    /// Starts `each` clients of every kind against the two doors; for `span` they come again whenever they are closed.
    ///
    /// # Panics
    /// When no thread can be made.
    pub fn start(
        (rtmp, http): (SocketAddr, SocketAddr),
        (playlist, object): (&str, &str),
        each: usize,
        span: Duration,
    ) -> Self {
        let target = Target { rtmp, http, playlist: playlist.to_owned(), object: object.to_owned() };
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(crowd(target, each, span))
        };
        Self { thread: std::thread::Builder::new().name("rabble".to_owned()).spawn(work).expect("a thread") }
    }

    /// Whether the server still holds a connection of theirs, or they still come.
    pub fn is_there(&self) -> bool {
        !self.thread.is_finished()
    }

    /// How many connections of each kind the server has closed: all there were. Waits until the last is closed.
    ///
    /// # Panics
    /// When their thread panicked.
    pub fn closed(self) -> Vec<(Deed, usize)> {
        self.thread.join().expect("bad clients do not panic")
    }
}

async fn crowd(target: Target, each: usize, span: Duration) -> Vec<(Deed, usize)> {
    let until = Instant::now() + span;
    let mut clients = JoinSet::new();
    for (kind, deed) in Deed::ALL.into_iter().enumerate() {
        for n in 0..each {
            let (target, source) = (target.clone(), Ipv4Addr::new(127, 0, 0, 2 + kind as u8));
            clients.spawn(async move {
                let mut rounds = 0;
                while Instant::now() < until {
                    // Being cut in the middle is what they are here for.
                    let _cut = deed.act(&target, source, n + rounds).await;
                    rounds += 1;
                    sleep(PAUSE).await;
                }
                (deed, rounds)
            });
        }
    }
    let mut closed: Vec<_> = Deed::ALL.map(|deed| (deed, 0)).into();
    for (deed, rounds) in clients.join_all().await {
        closed[deed as usize].1 += rounds;
    }
    closed
}

impl Deed {
    /// One connection from its beginning to its end, which is the server's doing.
    async fn act(self, target: &Target, source: Ipv4Addr, round: usize) -> io::Result<()> {
        match self {
            Self::WrongKeys => {
                let key = format!("wk_{round:08}_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
                return Push::start(&target.rtmp.to_string(), "live", &key).await.map(|_| ());
            }
            Self::HeaderDrip | Self::StalledReader | Self::Tricks => {}
            Self::Garbage | Self::HalfHandshake | Self::SlowHandshake => {
                let mut socket = connect(source, target.rtmp).await?;
                return match self {
                    Self::Garbage => {
                        socket.write_all(&noise(round as u64)).await?;
                        closed(&mut socket, None).await
                    }
                    Self::HalfHandshake => {
                        socket.write_all(&[3; 700]).await?;
                        closed(&mut socket, None).await
                    }
                    _ => closed(&mut socket, Some(&[3])).await,
                };
            }
            Self::Idle | Self::CreateStreams | Self::AmfBomb => {
                let mut socket = connect(source, target.rtmp).await?;
                shake_hands(&mut socket).await?;
                match self {
                    Self::CreateStreams => {
                        socket.write_all(&[connect_command(&[]), create_stream().repeat(2000)].concat()).await?
                    }
                    Self::AmfBomb => socket.write_all(&connect_command(&[3, 0, 1, b'a'].repeat(3013))).await?,
                    _ => {}
                }
                return closed(&mut socket, None).await;
            }
        }
        let mut socket = connect(source, target.http).await?;
        match self {
            Self::HeaderDrip => {
                socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await?;
                closed(&mut socket, Some(b"X: 1\r\n")).await
            }
            Self::StalledReader => {
                let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target.object);
                socket.write_all(request.repeat(200).as_bytes()).await?;
                // Its end shows only to those who read or write, and it does not read.
                loop {
                    sleep(DRIP).await;
                    socket.write_all(b"\r\n").await?;
                }
            }
            _ => {
                socket.write_all(trick(target, round).as_bytes()).await?;
                closed(&mut socket, None).await
            }
        }
    }
}

fn trick(target: &Target, round: usize) -> String {
    let Target { playlist, object, .. } = target;
    let ask = |what: &str, more: &str| format!("GET {what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
    match round % 8 {
        0 => ask(object, &format!("Range: bytes={}0-1\r\n", "0-1,".repeat(1000))),
        1 => ask("/live/../../../../etc/passwd", ""),
        2 => ask("/live/%2e%2e/%2e%2e/etc/passwd", ""),
        3 => ask(&format!("{playlist}?_HLS_msn=99999999&_HLS_part=0"), ""),
        4 => "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        5 => ask("/", "Host: b\r\n"),
        6 => "POST /api/v1/streams HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4611686018427387904\r\n\r\n".to_owned(),
        _ => ask("/", &(0..100).map(|n| format!("X-{n}: 1\r\n")).collect::<String>()),
    }
}

/// Reads until the server closes, sending `drip` now and then meanwhile.
async fn closed(socket: &mut TcpStream, drip: Option<&[u8]>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut every = interval(DRIP);
    loop {
        tokio::select! {
            read = socket.read(&mut buffer) => if read? == 0 { return Ok(()) },
            _ = every.tick() => {
                if let Some(drip) = drip {
                    socket.write_all(drip).await?;
                }
            }
        }
    }
}

async fn connect(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(to).await
}

async fn shake_hands(socket: &mut TcpStream) -> io::Result<()> {
    let mut hello = vec![0; 1 + 1536];
    hello[0] = 3;
    socket.write_all(&hello).await?;
    let mut theirs = vec![0; 1 + 2 * 1536];
    socket.read_exact(&mut theirs).await?;
    socket.write_all(&theirs[1..1 + 1536]).await
}

/// `connect` with one argument, an empty object when it is empty.
fn connect_command(argument: &[u8]) -> Vec<u8> {
    let argument = if argument.is_empty() { &[3, 0, 0, 9] } else { argument };
    command(&[b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00", argument].concat())
}

fn create_stream() -> Vec<u8> {
    command(b"\x02\x00\x0ccreateStream\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05")
}

/// A command message in chunks of 128 bytes.
fn command(body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32).to_be_bytes();
    let mut out = vec![3, 0, 0, 0, size[1], size[2], size[3], 20, 0, 0, 0, 0];
    for (index, piece) in body.chunks(128).enumerate() {
        if index > 0 {
            out.push(0xC3);
        }
        out.extend_from_slice(piece);
    }
    out
}

/// Bytes that mean nothing, the same for the same `seed`.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..4096).map(|_| next()).collect()
}
