//! `weir replay`: asks the server that runs on the data directory to replay a recording.

use crate::config::Config;
use crate::{data_dir, first_start};
use anyhow::{Context as _, bail};
use axum::http::{Method, Request, header};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use store::ApiToken;
use tokio::net::TcpStream;

/// A server that reads the journals of a long recording answers in a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the recording
    recording: String,
    /// Public name of a stream that is not live
    #[arg(long, value_name = "STREAM")]
    to: String,
    /// Begin again at its end, until the stream is stopped
    #[arg(long = "loop")]
    loops: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Asks, and says what came of it; the replay goes on without this command.
///
/// # Errors
/// When no server runs there, or in its words why not.
pub async fn run(config: &Config, arguments: Arguments) -> anyhow::Result<()> {
    let Some(server) = data_dir::running_http(&config.data_dir) else {
        bail!(
            "no server with plain HTTP runs on the data directory {}; start it, or ask the API of the one that runs",
            config.data_dir.display()
        );
    };
    let token = first_start::read_token(&config.data_dir)?;
    let Arguments { recording, to, loops, json } = arguments;
    let unknown = |name: &str| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if recording.is_empty() || unknown(&recording) {
        bail!("{recording:?} is no recording's id; weir recording list shows them");
    }
    let body = json!({ "to": to, "loop": loops });
    let path = format!("/api/v1/recordings/{recording}/replay");
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, post(server, &path, &token, &body))
        .await
        .map_err(|_| anyhow::anyhow!("the server at {server} does not answer"))?
        .with_context(|| format!("the server at {server} can't be asked"))?;
    match answer {
        Ok(facts) if json => println!("{facts}"),
        Ok(_) => println!("{recording} is replayed to {to}; end it with: weir stream stop {to}"),
        Err(problem) => bail!("{}", problem["message"].as_str().unwrap_or("the server refused").trim_end_matches('.')),
    }
    Ok(())
}

/// What the server says to a request: yes or no, each as JSON.
async fn post(
    mut server: SocketAddr,
    path: &str,
    token: &ApiToken,
    body: &Value,
) -> anyhow::Result<Result<Value, Value>> {
    if server.ip().is_unspecified() {
        server.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, server.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(server).await?)).await?;
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("its answer broke off: {error}"))?.to_bytes();
        let said: Value = serde_json::from_slice(&body).context("its answer is no JSON")?;
        Ok(if status.is_success() { Ok(said) } else { Err(said) })
    };
    tokio::pin!(exchange);
    tokio::select! {
        done = &mut exchange => done,
        // Both ends are seen: when the connection ends first, the exchange says what it has.
        _ended = connection => exchange.await,
    }
}
