use crate::Refusals;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// The pause after an accept that failed for want of descriptors or memory: doubled from the first to the last.
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_LAST: Duration = Duration::from_secs(1);

/// A listener that outlives a full table of file descriptors.
///
/// It keeps one descriptor in reserve. When none is left it gives that one up for a moment, to take the oldest waiting
/// connection and close it, so that a peer is told instead of hanging in the queue; then it pauses, so that no core spins.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    refusals: &'static Refusals,
    spare: Option<File>,
    pause: Duration,
}

impl Acceptor {
    /// Accepts from `listener`; trouble is counted in `refusals` with the cause `accept`.
    pub fn new(listener: TcpListener, refusals: &'static Refusals) -> Self {
        Self { listener, refusals, spare: spare(), pause: BACK_OFF_FIRST }
    }

    /// The next connection. Waits for as long as there is none; errors of single connections are passed over, and when
    /// descriptors or memory are short it waits for better times. Cancel safe.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    self.pause = BACK_OFF_FIRST;
                    return accepted;
                }
                Err(error) if is_shortage(&error) => {
                    let door = self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0; 4], 0)));
                    let peer = self.turn_one_away().unwrap_or(door);
                    self.refusals.turn_away("accept", &peer, &error, Instant::now());
                    let pause = self.pause;
                    self.pause = (pause * 2).min(BACK_OFF_LAST);
                    tokio::time::sleep(pause).await;
                }
                // The peer was gone before we looked: not worth a word.
                Err(_) => {}
            }
        }
    }

    /// Closes the connection that has waited longest. `None` when even the spare descriptor did not help.
    fn turn_one_away(&mut self) -> Option<SocketAddr> {
        drop(self.spare.take());
        let mut cx = Context::from_waker(Waker::noop());
        let accepted = self.listener.poll_accept(&mut cx);
        let peer = match accepted {
            Poll::Ready(Ok((socket, peer))) => {
                drop(socket);
                Some(peer)
            }
            _ => None,
        };
        self.spare = spare();
        peer
    }
}

/// A descriptor that costs nothing; `None` when there is none to have, which the next shortage tries again.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether accepting failed because this process or machine ran out of something, so that trying at once would spin.
fn is_shortage(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | WouldBlock)
}
