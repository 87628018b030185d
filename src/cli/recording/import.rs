//! `weir recording import`: sends a file to the server that runs on the data directory, as a browser does, and waits until it is a
//! recording.

use crate::config::Config;
use crate::{data_dir, first_start};
use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use futures_util::stream;
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io::{IsTerminal as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use store::{ApiToken, Visibility};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::TcpStream;

/// What is sent with one request, so that what a broken one costs is little.
const PIECE_BYTES: u64 = 64 << 20;
const BLOCK_BYTES: usize = 256 << 10;
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// A disk takes a piece in less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A server that is being restarted is waited for so long.
const AWAY_MAX: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct Arguments {
    /// An MP4 file with H.264 or HEVC, AAC, or both
    file: PathBuf,
    /// Title, at most 200 characters; the file's name when left out
    #[arg(long)]
    title: Option<String>,
    /// Stream it is to belong to, whose rules of retention it is then under
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Who may see it
    #[arg(long, value_name = "public|unlisted|private")]
    visibility: Option<Visibility>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Sends the file and waits; exit status 1 when nothing could be made of it.
///
/// # Errors
/// When no server runs there, or in its words why not.
pub async fn run(config: &Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Some(mut server) = data_dir::running_http(&config.data_dir) else {
        bail!(
            "no server with plain HTTP runs on the data directory {}; start it, or upload the file on the dashboard of the one that runs",
            config.data_dir.display()
        );
    };
    if server.ip().is_unspecified() {
        server.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let client = Client { server, token: first_start::read_token(&config.data_dir)? };
    let name = arguments.file.display().to_string();
    let size = tokio::fs::metadata(&arguments.file).await.with_context(|| format!("{name} can't be read"))?;
    if !size.is_file() {
        bail!("{name} is no file");
    }
    let address = client.announce(&arguments, size.len()).await?;
    client.send(&address, &arguments.file, size.len()).await?;
    let id = address.rsplit('/').next().unwrap_or_default();
    let made = client.wait(id).await?;
    let is_good = made["status"] == "available";
    if arguments.json {
        println!("{made}");
    } else if is_good {
        println!("{id}  {}", made["watch"].as_str().unwrap_or_default());
    } else {
        bail!("{}", made["reason"].as_str().unwrap_or("nothing could be made of it").trim_end_matches('.'));
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Client {
    server: SocketAddr,
    token: ApiToken,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The server's own words.
    fn refusal(&self) -> anyhow::Error {
        let said = self.body["message"].as_str().map(|text| text.trim_end_matches('.').to_owned());
        anyhow::anyhow!(said.unwrap_or_else(|| format!("the server answers {}", self.status)))
    }

    fn offset(&self) -> Option<u64> {
        self.headers.get("upload-offset")?.to_str().ok()?.parse().ok()
    }
}

impl Client {
    async fn announce(&self, arguments: &Arguments, size: u64) -> anyhow::Result<String> {
        let name = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let visibility = arguments.visibility.map(|visibility| visibility.as_str().to_owned());
        let said = [
            ("filename", name),
            ("title", arguments.title.clone()),
            ("stream", arguments.stream.clone()),
            ("visibility", visibility),
        ];
        let pairs = said.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", STANDARD.encode(value?))));
        let metadata = pairs.collect::<Vec<_>>().join(",");
        let headers = [("upload-length", size.to_string()), ("upload-metadata", metadata)];
        let answer = self.ask(Method::POST, "/api/v1/uploads", &headers, Body::empty()).await?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.refusal());
        }
        let address = answer.headers.get(header::LOCATION).and_then(|address| address.to_str().ok());
        Ok(address.context("the server does not say where the upload is")?.to_owned())
    }

    /// Sends all of it, and goes on where it was when the server was away for a while.
    async fn send(&self, address: &str, file: &Path, size: u64) -> anyhow::Result<()> {
        let (mut offset, mut away_since, mut progress) = (0, None, Progress::new("sent"));
        while offset < size {
            let piece = PIECE_BYTES.min(size - offset);
            let body = body(file, offset, piece).await?;
            let headers = [
                ("content-type", "application/offset+octet-stream".to_owned()),
                ("upload-offset", offset.to_string()),
                ("content-length", piece.to_string()),
            ];
            let asked = match self.ask(Method::PATCH, address, &headers, body).await {
                Ok(answer) if matches!(answer.status, StatusCode::CONFLICT | StatusCode::LOCKED) => None,
                Ok(answer) if answer.status.is_success() => Some(answer),
                // It may be a recording already, if the answer to the last piece was lost.
                Ok(answer) if answer.status == StatusCode::NOT_FOUND && away_since.is_some() => None,
                Ok(answer) if !answer.status.is_server_error() => return Err(answer.refusal()),
                Ok(answer) if answer.status == StatusCode::INSUFFICIENT_STORAGE => return Err(answer.refusal()),
                Ok(_) | Err(_) => None,
            };
            match asked.and_then(|answer| answer.offset()) {
                Some(at) => (offset, away_since) = (at, None),
                None => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    tokio::time::sleep(AGAIN).await;
                    match self.ask(Method::HEAD, address, &[], Body::empty()).await {
                        // All of it was sent: the recording says what became of it.
                        Ok(answer) if answer.status == StatusCode::NOT_FOUND && offset + piece == size => break,
                        Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                            bail!("the upload is gone; begin again")
                        }
                        Ok(answer) => offset = answer.offset().unwrap_or(offset),
                        Err(error) if since.elapsed() > AWAY_MAX => return Err(error),
                        Err(_) => {}
                    }
                    if since.elapsed() > AWAY_MAX {
                        bail!("the server at {} does not take the file", self.server);
                    }
                }
            }
            progress.tell(offset * 100 / size);
        }
        progress.end();
        Ok(())
    }

    /// Waits until the recording is made, or nothing can be made.
    async fn wait(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/recordings/{id}");
        let (mut since, mut progress) = (None, Progress::new("imported"));
        loop {
            match self.ask(Method::GET, &path, &[], Body::empty()).await {
                Ok(answer) if answer.status.is_success() => {
                    since = None;
                    if answer.body["status"] != "processing" {
                        progress.end();
                        return Ok(answer.body);
                    }
                    progress.tell(answer.body["percent"].as_u64().unwrap_or(0));
                }
                Ok(answer) if since.is_some_and(|since: Instant| since.elapsed() > AWAY_MAX) => {
                    return Err(answer.refusal());
                }
                Err(error) if since.is_some_and(|since: Instant| since.elapsed() > AWAY_MAX) => return Err(error),
                Ok(_) | Err(_) => _ = since.get_or_insert_with(Instant::now),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, String)], body: Body) -> anyhow::Result<Answer> {
        let asking = self.exchange(method, path, headers, body);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
        answer
            .map_err(|_| anyhow::anyhow!("the server at {} does not answer", self.server))?
            .with_context(|| format!("the server at {} can't be asked", self.server))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Body,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.server.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.reveal()))
            .header("tus-resumable", "1.0.0");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(self.server).await?)).await?;
        let exchange = async move {
            let answer = sender.send_request(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("its answer broke off: {error}"))?.to_bytes();
            Ok(Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
        };
        tokio::pin!(exchange);
        tokio::select! {
            done = &mut exchange => done,
            // Both ends are seen: when the connection ends first, the exchange says what it has.
            _ended = connection => exchange.await,
        }
    }
}

/// A piece of a file, read as it is sent.
async fn body(file: &Path, offset: u64, length: u64) -> anyhow::Result<Body> {
    let mut file = File::open(file).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let blocks = stream::try_unfold(file.take(length), |mut file| async move {
        let mut block = vec![0; BLOCK_BYTES];
        let count = file.read(&mut block).await?;
        block.truncate(count);
        std::io::Result::Ok((count > 0).then(|| (Bytes::from(block), file)))
    });
    Ok(Body::from_stream(blocks))
}

/// A line on a terminal; nothing elsewhere.
struct Progress {
    what: &'static str,
    shown: Option<u64>,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, shown: None }
    }

    fn tell(&mut self, percent: u64) {
        if std::io::stderr().is_terminal() && self.shown.replace(percent) != Some(percent) {
            eprint!("\r{percent:3} % {}", self.what);
        }
    }

    fn end(&mut self) {
        if self.shown.take().is_some() {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// A server that takes a piece, says nothing, and knows no such upload any more.
    async fn forgetful(listener: TcpListener) {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = Vec::new();
            let is_asked = |asked: &[u8]| asked.starts_with(b"HEAD") && asked.ends_with(b"\r\n\r\n");
            while !is_asked(&asked) && !asked.ends_with(b"a film") {
                if socket.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            if asked.starts_with(b"HEAD") {
                let _gone = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    }

    #[tokio::test]
    async fn an_upload_that_is_gone_behind_its_last_piece_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.mp4");
        std::fs::write(&file, "a film").unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = Client { server: listener.local_addr().unwrap(), token: ApiToken::generate().unwrap() };
        let server = tokio::spawn(forgetful(listener));
        client.send("/api/v1/uploads/x", &file, 6).await.unwrap();
        let lost = client.send("/api/v1/uploads/x", &file, PIECE_BYTES + 6).await.unwrap_err().to_string();
        assert!(lost.contains("the upload is gone"), "{lost}");
        server.abort();
    }
}
