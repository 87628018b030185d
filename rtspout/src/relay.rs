//! A reader over RTSPS: TLS ends here, and its bytes go to the worker and back over a connection of this machine with itself.
//!
//! A socketpair would be shorter, but `gst-rtsp-server` asks every connection for its IP address.

use crate::REFUSED;
use crate::channel::{Join, Stay};
use crate::stranger::{Admitted, Line};
use metrics::counter;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What may wait in the kernel between the worker and here, so that a reader that takes nothing is noticed there soon.
const WAITING_BYTES: usize = 256 << 10;
/// What is copied at once: requests are small.
const TO_WORKER: usize = 4 << 10;
const FROM_WORKER: usize = 32 << 10;
/// A reader whose worker is through may take so long to hear it.
const FAREWELL: Duration = Duration::from_secs(1);
/// This machine takes its own connections at once.
const PAIR_WAIT: Duration = Duration::from_secs(1);

/// Puts the reader to its worker and passes bytes on until either side ends it, it is sent away, or takes some 32 KiB for longer than
/// `stall`. It has its seat for as long as its connection is open.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut line: Line<S>, admitted: Admitted, stall: Duration) {
    let Admitted { tuner, mount, seat: _seat, reservation } = admitted;
    let (ours, theirs) = match tokio::task::spawn_blocking(pair).await.map_err(io::Error::other).flatten() {
        Ok(pair) => pair,
        Err(error) => {
            counter!("weir_rtsp_refused_total", "cause" => "relay").increment(1);
            return tracing::warn!(%error, "a reader over RTSPS can't be passed on, and was closed");
        }
    };
    let head = line.head();
    let (address, port) = (line.peer.ip().to_canonical(), line.peer.port());
    // Over UDP its media would be in clear.
    let (connection, sent_away) = (theirs.into(), tuner.sent_away());
    let (stay, ends) = (Stay::new(None, reservation), sent_away.clone());
    let join = Join { address, port, path: mount, interleaved: true, head, connection, stay, sent_away };
    if let Err(refusal) = tuner.join(join) {
        return REFUSED.turn_away(refusal.cause, &line.peer, &refusal.text, std::time::Instant::now());
    }
    drop(tuner);
    pass_on(line.stream, ours, stall, &ends).await;
}

/// Until either side is through, as neither has a use for the other alone. A reader that says nothing is ended by the worker, which
/// closes its side.
async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
    reader: S,
    worker: TcpStream,
    stall: Duration,
    ends: &CancellationToken,
) {
    let (from_reader, mut to_reader) = split(reader);
    let (from_worker, to_worker) = worker.into_split();
    let _ended = tokio::select! {
        ended = copy::<TO_WORKER>(from_reader, to_worker, stall) => ended,
        ended = copy::<FROM_WORKER>(from_worker, &mut to_reader, stall) => ended,
        () = ends.cancelled() => Ok(()),
    };
    let _told_or_late = timeout(FAREWELL, to_reader.shutdown()).await;
}

/// To the end. What came is on its way before more is taken, or the last of an answer might wait inside TLS for the next. The kernel
/// ends a connection that takes nothing, but not one that takes a little now and then: `stall` is for all that was read at once.
async fn copy<const SIZE: usize>(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    stall: Duration,
) -> io::Result<()> {
    let mut bytes = vec![0; SIZE];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let pass = async {
            to.write_all(&bytes[..count]).await?;
            to.flush().await
        };
        timeout(stall, pass).await??;
    }
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

    const STALL: Duration = Duration::from_secs(60);

    /// A reader and its worker as they see their own ends of what passes between.
    async fn passing(
        stall: Duration,
        ends: CancellationToken,
    ) -> (tokio::io::DuplexStream, TcpStream, tokio::task::JoinHandle<()>) {
        let (reader, inside) = tokio::io::duplex(64);
        let (ours, theirs) = pair().expect("loopback");
        theirs.set_nonblocking(true).expect("a socket");
        let worker = TcpStream::from_std(theirs).expect("a socket");
        (reader, worker, tokio::spawn(async move { pass_on(inside, ours, stall, &ends).await }))
    }

    #[tokio::test]
    async fn it_ends_with_the_worker_though_the_reader_stays() {
        let (mut reader, mut worker, task) = passing(STALL, CancellationToken::new()).await;
        worker.write_all(b"the last").await.expect("open");
        drop(worker);
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).await.expect("it is told");
        assert_eq!(heard, b"the last");
        task.await.expect("it ends");
    }

    #[tokio::test]
    async fn it_ends_with_the_reader_though_the_worker_stays() {
        let (mut reader, mut worker, task) = passing(STALL, CancellationToken::new()).await;
        reader.write_all(b"TEARDOWN").await.expect("open");
        drop(reader);
        let mut asked = Vec::new();
        worker.read_to_end(&mut asked).await.expect("it is told");
        assert_eq!(asked, b"TEARDOWN");
        task.await.expect("it ends");
    }

    #[tokio::test]
    async fn it_ends_with_a_reader_that_takes_less_than_it_is_given() {
        let (mut reader, mut worker, task) = passing(Duration::from_millis(50), CancellationToken::new()).await;
        worker.write_all(&[7; 1_000]).await.expect("the kernel takes it");
        reader.read_exact(&mut [0; 10]).await.expect("some of it");
        timeout(STALL, task).await.expect("though both stay").expect("it ends");
    }

    #[tokio::test]
    async fn it_ends_for_who_is_sent_away() {
        let ends = CancellationToken::new();
        let (_reader, _worker, task) = passing(STALL, ends.clone()).await;
        ends.cancel();
        timeout(STALL, task).await.expect("though both stay").expect("it ends");
    }
}
