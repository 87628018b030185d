//! A reader over RTSPS: TLS ends here, and its bytes go to the worker and back over a connection of this machine with itself.
//!
//! A socketpair would be shorter, but `gst-rtsp-server` asks every connection for its IP address.

use crate::channel::Join;
use crate::stranger::{Admitted, Line};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;

/// What may wait in the kernel between the worker and here, so that a reader that takes nothing is noticed there soon.
const WAITING_BYTES: usize = 256 << 10;
/// What is copied at once: requests are small.
const TO_WORKER: usize = 4 << 10;
const FROM_WORKER: usize = 32 << 10;
/// This machine takes its own connections at once.
const PAIR_WAIT: Duration = Duration::from_secs(1);

/// Puts the reader to its worker and passes bytes on until either side ends it.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut line: Line<S>, admitted: Admitted) {
    let Admitted { tuner, mount, seat } = admitted;
    let (mut ours, theirs) = match tokio::task::spawn_blocking(pair).await.map_err(io::Error::other).flatten() {
        Ok(pair) => pair,
        Err(error) => return tracing::warn!(%error, "a reader over RTSPS can't be passed on"),
    };
    let head = line.head();
    let (address, port) = (line.peer.ip().to_canonical(), line.peer.port());
    // Over UDP its media would be in clear.
    let (connection, sent_away) = (theirs.into(), tuner.sent_away());
    let join = Join { address, port, path: mount, interleaved: true, head, connection, seat, sent_away };
    if let Err(refusal) = tuner.join(join) {
        return tracing::debug!(reason = refusal.text, "a reader over RTSPS was closed");
    }
    drop(tuner);
    // A reader that takes nothing is ended by the kernel; one that says nothing by the worker, which closes its side.
    let _ended = copy_bidirectional_with_sizes(&mut line.stream, &mut ours, TO_WORKER, FROM_WORKER).await;
}

/// Two ends of a connection over loopback, of which nobody else can have one. Waits for nobody but the kernel.
fn pair() -> io::Result<(TcpStream, StdStream)> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.set_send_buffer_size(WAITING_BYTES)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(1)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let ours = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    ours.set_recv_buffer_size(WAITING_BYTES)?;
    ours.connect_timeout(&address, PAIR_WAIT)?;
    let own = ours.local_addr()?;
    // Another program on this machine may have been quicker; its connection is closed.
    let theirs = loop {
        let (theirs, peer) = listener.accept()?;
        if peer.as_socket() == own.as_socket() {
            break theirs;
        }
    };
    let ours: StdStream = ours.into();
    ours.set_nonblocking(true)?;
    ours.set_nodelay(true)?;
    let theirs: StdStream = theirs.into();
    theirs.set_nodelay(true)?;
    Ok((TcpStream::from_std(ours)?, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_goes_in_at_one_end_comes_out_at_the_other() {
        let (mut ours, theirs) = pair().expect("loopback");
        theirs.set_nonblocking(true).expect("a socket");
        let mut theirs = TcpStream::from_std(theirs).expect("a socket");
        ours.write_all(b"there").await.expect("open");
        theirs.write_all(b"back").await.expect("open");
        let (mut there, mut back) = ([0; 5], [0; 4]);
        theirs.read_exact(&mut there).await.expect("open");
        ours.read_exact(&mut back).await.expect("open");
        assert_eq!((&there, &back), (b"there", b"back"));
    }
}
