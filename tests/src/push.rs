//! A small RTMP publisher that sends FLV tags exactly as they are.
//!
//! It repairs nothing and says nothing it was not told to, so a journey can send what no polite encoder would, and one
//! process can be fifty encoders. It is written from the RTMP specification and shares no code with the server.

use crate::flv::Tag;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Chunk size announced to the server; one tag of a small stream is one chunk.
pub(crate) const CHUNK: usize = 65_536;
const HANDSHAKE: usize = 1_536;

/// A connection on which publishing was accepted.
pub struct Push {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    replies: Replies,
}

impl Push {
    /// Connects to `address`, opens application `app` and publishes `name`.
    ///
    /// # Errors
    /// `PermissionDenied` with the server's sentence when it refuses; otherwise what the socket says.
    pub async fn start(address: &str, app: &str, name: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (mut reader, mut writer) = socket.into_split();
        let mut hello = vec![0u8; 1 + HANDSHAKE];
        hello[0] = 3;
        writer.write_all(&hello).await?;
        let mut theirs = vec![0u8; 1 + 2 * HANDSHAKE];
        reader.read_exact(&mut theirs).await?;
        writer.write_all(&theirs[1..1 + HANDSHAKE]).await?;
        let mut push = Self { reader, writer, replies: Replies::default() };
        push.message(2, 1, 0, 0, &(CHUNK as u32).to_be_bytes()).await?;
        let url = format!("rtmp://{address}/{app}");
        let fields = [("app", app), ("type", "nonprivate"), ("flashVer", "FMLE/3.0"), ("tcUrl", &url)];
        push.message(3, 20, 0, 0, &[string("connect"), number(1.0), object(&fields)].concat()).await?;
        push.answer_to("_result").await?;
        push.message(3, 20, 0, 0, &[string("createStream"), number(2.0), vec![5]].concat()).await?;
        push.answer_to("_result").await?;
        let publish = [string("publish"), number(3.0), vec![5], string(name), string("live")].concat();
        push.message(4, 20, 1, 0, &publish).await?;
        push.answer_to("onStatus").await?;
        Ok(push)
    }

    /// Sends one tag with a stamp of the caller's choice in milliseconds.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn send(&mut self, kind: u8, stamp: u32, body: &[u8]) -> io::Result<()> {
        if kind == 18 {
            let body = [string("@setDataFrame").as_slice(), body].concat();
            return self.message(4, kind, 1, stamp, &body).await;
        }
        self.message(chunk_stream(kind), kind, 1, stamp, body).await
    }

    /// Begins a message of `size` bytes, of which only `first` are sent.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn begin(&mut self, kind: u8, stamp: u32, size: u32, first: &[u8]) -> io::Result<()> {
        let size = &size.to_be_bytes()[1..];
        let head = [&[6], &stamp.to_be_bytes()[1..], size, &[kind, 1, 0, 0, 0]].concat();
        self.writer.write_all(&[&head, first].concat()).await
    }

    /// Reads until the server closes and gives the last `onStatus` sentence, if there was one.
    pub async fn last_words(self) -> Option<String> {
        self.converse(Vec::new()).await
    }

    /// Sends each tag at its time, and reads meanwhile, until the server closes; gives its last `onStatus` sentence.
    pub async fn converse(mut self, tags: Vec<(Duration, Tag)>) -> Option<String> {
        let mut last = None;
        let mut replies = std::mem::take(&mut self.replies);
        let start = tokio::time::Instant::now();
        let sending = async {
            for (due, tag) in &tags {
                tokio::time::sleep_until(start + *due).await;
                if write_message(&mut self.writer, chunk_stream(tag.kind), tag.kind, 1, tag.stamp, &tag.body)
                    .await
                    .is_err()
                {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let listening = async {
            while let Ok(words) = replies.next(&mut self.reader).await {
                if words.first().is_some_and(|word| word == "onStatus") {
                    last = words.last().cloned();
                }
            }
        };
        tokio::select! {
            () = sending => {}
            () = listening => {}
        }
        last
    }

    /// Closes the sending side without a goodbye, as an encoder that crashes does, and waits until the server has closed
    /// the other.
    pub async fn hang_up(mut self) {
        if self.writer.shutdown().await.is_ok() {
            while self.replies.next(&mut self.reader).await.is_ok() {}
        }
    }

    /// Ends the connection with a reset instead of a goodbye, as a lost link does.
    pub fn reset(self) {
        if let Ok(socket) = self.reader.reunite(self.writer) {
            let _ = socket.set_zero_linger();
        }
    }

    async fn message(&mut self, chunk_stream: u8, kind: u8, stream: u32, stamp: u32, body: &[u8]) -> io::Result<()> {
        write_message(&mut self.writer, chunk_stream, kind, stream, stamp, body).await
    }

    async fn answer_to(&mut self, wanted: &str) -> io::Result<()> {
        loop {
            let words = self.replies.next(&mut self.reader).await?;
            let refused = words.iter().any(|word| word == "error" || word.contains(".BadName") || word == "_error");
            if refused {
                return Err(io::Error::new(ErrorKind::PermissionDenied, words.join(" | ")));
            }
            if words.first().is_some_and(|word| word == wanted) {
                return Ok(());
            }
        }
    }
}

/// The chunk stream of a kind of message, as librtmp numbers them.
fn chunk_stream(kind: u8) -> u8 {
    if kind == 9 { 6 } else { 4 }
}

pub(crate) async fn write_message(
    writer: &mut (impl AsyncWrite + Unpin),
    chunk_stream: u8,
    kind: u8,
    stream: u32,
    stamp: u32,
    body: &[u8],
) -> io::Result<()> {
    let short = stamp.min(0xFF_FFFF);
    let extended = (short == 0xFF_FFFF).then(|| stamp.to_be_bytes());
    let mut out = Vec::with_capacity(body.len() + 32);
    out.push(chunk_stream);
    out.extend_from_slice(&short.to_be_bytes()[1..]);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend_from_slice(&stream.to_le_bytes());
    // The announcement of our chunk size itself still travels in chunks of 128, and is shorter than that.
    for (index, piece) in body.chunks(CHUNK).enumerate() {
        if index > 0 {
            out.push(0xC0 | chunk_stream);
        }
        out.extend(extended.iter().flatten());
        out.extend_from_slice(piece);
    }
    writer.write_all(&out).await
}

/// A publisher in its own thread that sends tags at the times they are stamped with. Dropping it resets the connection.
pub struct LivePush {
    wish: Arc<AtomicU8>,
    accepted: Arc<OnceLock<Duration>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What the thread is to do; as numbers, to fit an atomic.
mod wish {
    pub const SEND: u8 = 0;
    pub const RESET: u8 = 1;
    pub const HANG_UP: u8 = 2;
    pub const FALL_SILENT: u8 = 3;
}

impl LivePush {
    /// Publishes `tags` in order to `app` and `name` at `address`; headers go out at their place.
    ///
    /// # Panics
    /// When no thread can be made.
    pub fn start(address: SocketAddr, app: &str, name: &str, tags: Vec<Tag>) -> Self {
        let first = tags.first().map_or(0, |tag| tag.stamp);
        let due = |tag: &Tag| Duration::from_millis(u64::from(tag.stamp.saturating_sub(first)));
        Self::start_at(address, app, name, tags.into_iter().map(|tag| (due(&tag), tag)).collect())
    }

    /// The same with a time for each tag, whatever it is stamped with.
    ///
    /// # Panics
    /// When no thread can be made.
    pub fn start_at(address: SocketAddr, app: &str, name: &str, tags: Vec<(Duration, Tag)>) -> Self {
        let (wish, accepted) = (Arc::new(AtomicU8::new(wish::SEND)), Arc::new(OnceLock::new()));
        let (wished, told, app, name) = (Arc::clone(&wish), Arc::clone(&accepted), app.to_owned(), name.to_owned());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let start = tokio::time::Instant::now();
                let mut push = Push::start(&address.to_string(), &app, &name).await?;
                let _first = told.set(start.elapsed());
                let start = tokio::time::Instant::now();
                for (due, tag) in &tags {
                    tokio::time::sleep_until(start + *due).await;
                    if wished.load(Ordering::Relaxed) != wish::SEND {
                        break;
                    }
                    push.send(tag.kind, tag.stamp, &tag.body).await?;
                }
                while wished.load(Ordering::Relaxed) == wish::FALL_SILENT {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                match wished.load(Ordering::Relaxed) {
                    wish::HANG_UP => push.hang_up().await,
                    _ => push.reset(),
                }
                Ok(())
            })
        };
        let thread = std::thread::Builder::new().name("live push".to_owned()).spawn(work).expect("a thread");
        Self { wish, accepted, thread: Some(thread) }
    }

    /// How long it took from connecting to the server's yes; `None` before that.
    pub fn accepted_in(&self) -> Option<Duration> {
        self.accepted.get().copied()
    }

    /// Closes the connection (FIN) without a goodbye.
    pub fn hang_up(self) {
        self.wish.store(wish::HANG_UP, Ordering::Relaxed);
        let _end = self.result();
    }

    /// Sends nothing any more and keeps the connection, as behind a link that is cut. Dropping it then resets.
    pub fn fall_silent(&self) {
        self.wish.store(wish::FALL_SILENT, Ordering::Relaxed);
    }

    /// Whether it still pushes.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits until all is sent or the server has closed, and gives what went wrong, if anything did.
    ///
    /// # Panics
    /// When its thread panicked.
    pub fn result(mut self) -> io::Result<()> {
        self.thread.take().expect("taken once, here").join().expect("the pushing thread does not panic")
    }
}

impl Drop for LivePush {
    fn drop(&mut self) {
        // After `hang_up` the thread is gone already.
        self.wish.store(wish::RESET, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts the server's chunks together and gives the strings of each command message.
#[derive(Default)]
pub(crate) struct Replies {
    chunk: usize,
    streams: std::collections::HashMap<u8, Message>,
}

#[derive(Default, Clone)]
struct Message {
    size: usize,
    kind: u8,
    extended: bool,
    body: Vec<u8>,
}

impl Replies {
    async fn next(&mut self, from: &mut OwnedReadHalf) -> io::Result<Vec<String>> {
        loop {
            if let (20, body) = self.message(from).await? {
                return Ok(strings(&body));
            }
        }
    }

    /// The next whole message: its kind and its body.
    pub(crate) async fn message(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let head = from.read_u8().await?;
            let (format, id) = (head >> 6, head & 63);
            let message = self.streams.entry(id).or_default();
            let mut field = [0u8; 11];
            let used = [11, 7, 3, 0][format as usize];
            from.read_exact(&mut field[..used]).await?;
            if used >= 3 {
                message.extended = field[..3] == [0xFF; 3];
            }
            if used >= 7 {
                message.size = u32::from_be_bytes([0, field[3], field[4], field[5]]) as usize;
                message.kind = field[6];
            }
            if message.extended {
                from.read_u32().await?;
            }
            let limit = if self.chunk == 0 { 128 } else { self.chunk };
            let mut piece = vec![0u8; (message.size - message.body.len()).min(limit)];
            from.read_exact(&mut piece).await?;
            message.body.extend_from_slice(&piece);
            if message.body.len() < message.size {
                continue;
            }
            let body = std::mem::take(&mut message.body);
            let kind = message.kind;
            if let (1, &[a, b, c, d]) = (kind, &body[..]) {
                self.chunk = u32::from_be_bytes([a, b, c, d]) as usize;
            }
            return Ok((kind, body));
        }
    }
}

/// Every AMF0 string value and property value in order, the names of properties left out.
pub(crate) fn strings(body: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    let mut at = 0;
    let text = |at: usize| {
        let size = body.get(at..at + 2).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]))?;
        body.get(at + 2..at + 2 + size).map(|b| (String::from_utf8_lossy(b).into_owned(), at + 2 + size))
    };
    let mut in_object = false;
    while at < body.len() {
        if in_object {
            let Some((name, after)) = text(at) else { break };
            at = after;
            if name.is_empty() {
                at += 1;
                in_object = false;
                continue;
            }
        }
        match body.get(at) {
            Some(0) => at += 9,
            Some(1) => at += 2,
            Some(2) => {
                let Some((value, after)) = text(at + 1) else { break };
                all.push(value);
                at = after;
            }
            Some(3) => {
                in_object = true;
                at += 1;
            }
            Some(5 | 6) => at += 1,
            Some(8) => {
                in_object = true;
                at += 5;
            }
            _ => break,
        }
    }
    all
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [&[2], (text.len() as u16).to_be_bytes().as_slice(), text.as_bytes()].concat()
}

pub(crate) fn number(value: f64) -> Vec<u8> {
    [&[0], value.to_be_bytes().as_slice()].concat()
}

pub(crate) fn object(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![3];
    for (name, value) in fields {
        // A property's name is a string without its type byte.
        out.extend_from_slice(&string(name)[1..]);
        out.extend(string(value));
    }
    out.extend([0, 0, 9]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_a_status_are_found() {
        let status = [("level", "error"), ("code", "NetStream.Publish.BadName"), ("description", "No such key.")];
        let body = [string("onStatus"), number(0.0), vec![5], object(&status)].concat();
        assert_eq!(strings(&body), ["onStatus", "error", "NetStream.Publish.BadName", "No such key."]);
    }
}
