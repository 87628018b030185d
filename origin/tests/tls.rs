//! The listener over TLS: both protocols, a changed certificate, clients that do not speak TLS.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use kit::{Client, PATIENCE, Server};
use origin::{Limits, Peer};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn certificate() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}

async fn connect(server: &Server, trusted: &CertificateDer<'static>) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    Ok(Client { socket, buffer: Vec::new() })
}

fn router() -> Router {
    Router::new()
        .route("/", get(async |Extension(peer): Extension<Peer>| peer.tls.to_string()))
        .route("/big", get(async || vec![9_u8; 4 << 20]))
}

#[tokio::test]
async fn a_new_certificate_is_for_the_next_connection() {
    let (first, first_der) = certificate();
    let (second, second_der) = certificate();
    let (sender, receiver) = watch::channel(first);
    let server = Server::start_with(router(), Limits::default(), Some(receiver)).await;
    let mut old = connect(&server, &first_der).await.unwrap();
    assert_eq!(old.get("/").await.text(), "true");
    sender.send_replace(second);
    assert!(connect(&server, &first_der).await.is_err());
    let mut new = connect(&server, &second_der).await.unwrap();
    assert_eq!(new.get("/").await.text(), "true");
    assert_eq!(old.get("/").await.text(), "true");
    drop(sender);
    assert_eq!(connect(&server, &second_der).await.unwrap().get("/").await.text(), "true");
}

#[tokio::test]
async fn curl_speaks_both_protocols() {
    let (config, _) = certificate();
    let (_sender, receiver) = watch::channel(config);
    let server = Server::start_with(router(), Limits::default(), Some(receiver)).await;
    let url = format!("https://localhost:{}", server.address.port());
    for (flag, path, want) in [
        ("--http2", "/", "2 200 4"),
        ("--http1.1", "/", "1.1 200 4"),
        ("--http2", "/big", "2 200 4194304"),
        ("--http1.1", "/big", "1.1 200 4194304"),
    ] {
        let output = Command::new("curl")
            .args(["-sk", flag, "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}"])
            .arg(format!("{url}{path}"))
            .output()
            .await
            .expect("curl is installed");
        assert_eq!(String::from_utf8_lossy(&output.stdout), want, "{flag} {path}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let (config, _) = certificate();
    let (_sender, receiver) = watch::channel(config);
    let limits = Limits { handshake_deadline: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start_with(router(), limits, Some(receiver)).await;
    assert!(server.connect().await.ended().await, "silence");
    let mut plain = server.connect().await;
    let _ = plain.socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // A TLS alert may come before the end.
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut plain.socket, &mut rest);
    let _ = tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
}
