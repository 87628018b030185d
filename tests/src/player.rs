//! A small RTMP player. Written from the RTMP specification; it shares no code with the server.

use crate::push::{CHUNK, Replies, number, object, string, strings, write_message};
use std::io::{self, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

const HANDSHAKE: usize = 1_536;

/// A connection on which a stream is played.
pub struct Player {
    socket: BufReader<TcpStream>,
    replies: Replies,
}

impl Player {
    /// Connects to `address` and reads until the server says that `name` of application `app` is played. With a small
    /// `buffer` of the kernel's (bytes) what the player does not take soon waits at the server.
    ///
    /// # Errors
    /// `PermissionDenied` with the server's sentence when it refuses; otherwise what the socket says.
    pub async fn start(address: &str, app: &str, name: &str, buffer: Option<u32>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let mut socket = socket.connect(address.parse().map_err(io::Error::other)?).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&[&[3][..], &[0; HANDSHAKE]].concat()).await?;
        let mut theirs = vec![0; 1 + 2 * HANDSHAKE];
        socket.read_exact(&mut theirs).await?;
        socket.write_all(&theirs[1..1 + HANDSHAKE]).await?;
        write_message(&mut socket, 2, 1, 0, 0, &(CHUNK as u32).to_be_bytes()).await?;
        let url = format!("rtmp://{address}/{app}");
        let connect = [string("connect"), number(1.0), object(&[("app", app), ("tcUrl", &url)])].concat();
        write_message(&mut socket, 3, 20, 0, 0, &connect).await?;
        write_message(&mut socket, 3, 20, 0, 0, &[string("createStream"), number(2.0), vec![5]].concat()).await?;
        let play = [string("play"), number(3.0), vec![5], string(name)].concat();
        write_message(&mut socket, 4, 20, 1, 0, &play).await?;
        let mut player = Self { socket: BufReader::with_capacity(CHUNK, socket), replies: Replies::default() };
        loop {
            let (kind, body) = player.message().await?;
            let words = if kind == 20 { strings(&body) } else { Vec::new() };
            if words.iter().any(|word| word == "error") {
                return Err(io::Error::new(ErrorKind::PermissionDenied, words.join(" | ")));
            }
            if words.iter().any(|word| word == "NetStream.Play.Start") {
                return Ok(player);
            }
        }
    }

    /// The next message: its kind and its body.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server has closed.
    pub async fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        self.replies.message(&mut self.socket).await
    }

    /// Waits for some bytes and throws them away; gives how many, 0 when the server has closed.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn skip(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer).await
    }
}
