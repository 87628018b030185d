//! What the tests of this crate share: a server on a free port and a small HTTP/1.1 client that shows raw answers.
#![allow(dead_code, reason = "each test binary uses its share")]

pub mod gauges;
pub mod show;

use axum::Router;
use origin::{Limits, Web};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No step of a test takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Server {
    pub async fn start(router: Router, limits: Limits) -> Server {
        Server::start_with(router, limits, None).await
    }

    pub async fn start_with(router: Router, limits: Limits, tls: Option<watch::Receiver<Arc<ServerConfig>>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::new(Web::new(router, limits)).serve(listener, tls, stop.clone()));
        Server { address, stop, task }
    }

    pub async fn connect(&self) -> Client<TcpStream> {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.connect().await.get(target).await
    }

    pub async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.connect().await.ask(method, target, headers).await
    }
}

pub struct Client<S> {
    pub socket: S,
    pub buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }

    pub async fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.send(head + "\r\n").await;
        self.answer(method == "HEAD").await.expect("an answer")
    }

    /// The next answer, or `None` when the server closed the connection first.
    pub async fn answer(&mut self, head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if self.more().await == 0 {
                return None;
            }
        };
        let text = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        self.buffer.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        if !head && headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            let body = self.chunks().await;
            return Some(Answer { status, headers, body });
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
        let length = if head || status == 304 || status == 204 { 0 } else { length };
        while self.buffer.len() < length {
            assert_ne!(self.more().await, 0, "body cut at {} of {length}", self.buffer.len());
        }
        let body = self.buffer.drain(..length).collect();
        Some(Answer { status, headers, body })
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at,
                    None => assert_ne!(self.more().await, 0, "cut before a chunk"),
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[..end]).unwrap(), 16).unwrap();
            while self.buffer.len() < end + 2 + size + 2 {
                assert_ne!(self.more().await, 0, "cut inside a chunk");
            }
            body.extend_from_slice(&self.buffer[end + 2..end + 2 + size]);
            self.buffer.drain(..end + 2 + size + 2);
            if size == 0 {
                return body;
            }
        }
    }

    /// Whether the server ends the connection without another byte.
    pub async fn ended(&mut self) -> bool {
        self.buffer.is_empty() && self.more().await == 0
    }

    async fn more(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        let read =
            tokio::time::timeout(PATIENCE, self.socket.read(&mut chunk)).await.expect("a byte or the end in time");
        // A reset is an end too.
        let read = read.unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read
    }
}
