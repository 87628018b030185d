//! A kept-alive connection, as players use one.

use anyhow::{Context as _, bail};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A kept-alive HTTP/1.1 connection for many small requests.
pub struct Connection {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not answer"))?;
        stream.set_nodelay(true)?;
        Ok(Self { host: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// Asks and waits: status and body.
    ///
    /// # Errors
    /// When the connection breaks or no answer comes for 15 s.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        self.ask(path).await?;
        self.answer().await
    }

    /// Sends a GET.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn ask(&mut self, path: &str) -> anyhow::Result<()> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        Ok(self.stream.get_mut().write_all(head.as_bytes()).await?)
    }

    /// Waits for the answer to what was asked: status and body.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn answer(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        const PATIENCE: Duration = Duration::from_secs(15);
        tokio::time::timeout(PATIENCE, self.read()).await.context("no answer for 15 s")?
    }

    async fn read(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                bail!("the server closed the connection");
            }
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            } else if lower.starts_with("http/1.1 ") {
                status = lower[9..12].parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }
}
