//! How long the network of a connection takes for a way there and back, as the kernel measures it anyway.
//!
//! The kernel tells it by `sock_diag(7)` over a netlink socket; `TCP_INFO` would need unsafe code. RTMP has a ping of its own, which
//! OBS never answers: it discards what a server sends while it streams.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const INET_DIAG_INFO: u16 = 2;
const TCP_ESTABLISHED: u8 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_msg`, which stands between the header and the attributes.
const MESSAGE: usize = 72;
/// Where `tcpi_rtt` stands in `struct tcp_info`: microseconds.
const RTT: usize = 68;
/// An answer has a few hundred bytes.
const ANSWER_MAX: usize = 2048;

/// The smoothed round trip of the TCP connection between these two addresses of this machine's network namespace. Takes some
/// microseconds and waits for nobody.
///
/// # Errors
/// When the kernel does not tell: no such connection, or a container that may not ask.
pub fn round_trip(local: SocketAddr, peer: SocketAddr) -> io::Result<Duration> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(local, peer), SendFlags::empty())?;
    let mut answer = [0; ANSWER_MAX];
    let (read, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let micros = read_rtt(answer.get(..read).unwrap_or_default()).ok_or(io::ErrorKind::NotFound)?;
    Ok(Duration::from_micros(micros.into()))
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` for one connection.
fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut out = Vec::with_capacity(HEADER + 56);
    out.extend((HEADER as u32 + 56).to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST.to_ne_bytes());
    // The number of the message and the port of the sender: there is one question on this socket.
    out.extend([0; 8]);
    out.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(peer.port().to_be_bytes());
    for address in [local.ip(), peer.ip()] {
        match address {
            IpAddr::V4(v4) => out.extend(v4.octets().into_iter().chain([0; 12])),
            IpAddr::V6(v6) => out.extend(v6.octets()),
        }
    }
    // Any interface, and no cookie.
    out.extend([0; 4]);
    out.extend([0xff; 8]);
    out
}

fn read_rtt(answer: &[u8]) -> Option<u32> {
    let short = |at: usize| answer.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes);
    // Where there is no such connection, the kernel answers with the socket that listens there.
    if short(4)? != SOCK_DIAG_BY_FAMILY || *answer.get(HEADER + 1)? != TCP_ESTABLISHED {
        return None;
    }
    let mut at = HEADER + MESSAGE;
    loop {
        let (length, kind) = (usize::from(short(at)?), short(at + 2)?);
        if kind == INET_DIAG_INFO {
            let info = answer.get(at + 4..at + length)?;
            return info.get(RTT..RTT + 4)?.try_into().ok().map(u32::from_ne_bytes);
        }
        // Attributes begin at multiples of four; none is shorter than its own head.
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_kernel_tells_the_round_trip_of_a_connection() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            client.write_all(b"x").unwrap();
            server.read_exact(&mut [0]).unwrap();
            let told = round_trip(server.local_addr().unwrap(), peer).unwrap();
            assert!(told > Duration::ZERO && told < Duration::from_secs(1), "{told:?}");
            let other = SocketAddr::new(peer.ip(), peer.port() ^ 1);
            assert!(round_trip(server.local_addr().unwrap(), other).is_err(), "there is no such connection");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer in proptest::collection::vec(0u8..24, 0..400)) {
            let _ = read_rtt(&answer);
        }
    }
}
