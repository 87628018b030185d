//! A process without a free descriptor. Alone in its program, because the limit holds for all of it.

use gatehouse::{Acceptor, Refusals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Longer than anything here takes on a loaded machine; only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);
static REFUSED: Refusals = Refusals::new("test_refused_total");

#[tokio::test]
async fn without_descriptors_peers_are_told_and_with_them_all_is_as_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let mut acceptor = Acceptor::new(listener, &REFUSED);
    // The peer's own end needs a descriptor too, so it connects before they run out.
    let waiting = connect(address).await;
    let hoard = all_descriptors();

    let told = tokio::task::spawn_blocking(move || is_closed(waiting));
    let began = Instant::now();
    let starving = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            _ = acceptor.accept() => panic!("accepted without a descriptor"),
            told = told => told.expect("no panic"),
        }
    });
    assert!(starving.await.expect("the peer is told"), "after {:?}", began.elapsed());

    drop(hoard);
    let peer = connect(address).await;
    let (_socket, from) = tokio::time::timeout(PATIENCE, acceptor.accept()).await.expect("accepted again");
    assert_eq!(from, peer.local_addr().expect("its address"));
}

async fn connect(address: SocketAddr) -> TcpStream {
    let connected = tokio::task::spawn_blocking(move || TcpStream::connect(address));
    connected.await.expect("no panic").expect("the queue has room")
}

/// Takes every descriptor this process may have.
fn all_descriptors() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: limit.maximum }).expect("a lower limit");
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Waits until the far end closes; a reset is an end too.
fn is_closed(mut socket: TcpStream) -> bool {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    match socket.read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}
