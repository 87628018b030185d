//! What the HTTP side gives a stranger at most. Every number has a default that suits a single machine.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// The bounds of all listeners together; see each field for what happens at it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections in all; the last 50 (a quarter, when that is less) are for this machine and for trusted proxies. One
    /// more is answered 503 (plain HTTP) and closed. Keep it below the file limit.
    pub connections_max: usize,
    /// Open connections of one IPv4 address or one IPv6 /64; a request through a trusted proxy counts as one of the viewer's.
    /// One more is answered 503 and closed at once.
    pub connections_per_address_max: usize,
    /// Whether connections from this machine itself count against the per-address bound.
    pub loopback_counts: bool,
    /// Reverse proxies and CDN nodes: free of the per-address bound, and their `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// A TLS handshake that takes longer ends the connection.
    pub handshake_deadline: Duration,
    /// A request head that is not complete in this time ends the connection; also how long an idle HTTP/1.1
    /// connection is kept, and how long a fresh connection may stay without any request.
    pub header_deadline: Duration,
    /// An HTTP/2 connection without a request in flight is closed after this time.
    pub idle_max: Duration,
    /// A peer that takes none of the bytes waiting for it for this long is dropped.
    pub progress_deadline: Duration,
    /// A request body must have arrived in full within this time, else reading it fails. A piece of a file sent by tus may last longer and
    /// be of any size, but its bytes may not stop for [`progress_deadline`](Self::progress_deadline).
    pub body_deadline: Duration,
    /// The largest request body, in bytes. A larger announced one is answered 413 unread; a chunked one fails at the bound.
    pub body_bytes_max: u64,
    /// The same for PUT, whose handlers take files; none of them reads a byte before it knows who sends it.
    pub upload_bytes_max: u64,
    /// The largest number of request header fields; more is answered 431. (Their total size is bounded at 16 KiB.)
    pub headers_max: usize,
    /// What the kernel takes for one connection ahead of the network, in bytes; it may exceed it by one packet of 64 KiB.
    /// The HTTP layer adds only references to shared bytes.
    pub unsent_bytes_max: u32,
    /// At shutdown requests in flight get this long to finish; then their connections are dropped.
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 10_000,
            // A household or office behind one address: six HTTP/1.1 connections a browser, some forty viewers.
            connections_per_address_max: 256,
            loopback_counts: false,
            trusted_proxies: Vec::new(),
            handshake_deadline: Duration::from_secs(10),
            header_deadline: Duration::from_secs(10),
            idle_max: Duration::from_secs(60),
            progress_deadline: Duration::from_secs(30),
            body_deadline: Duration::from_secs(30),
            body_bytes_max: 64 * 1024,
            upload_bytes_max: 64 * 1024,
            headers_max: 64,
            unsent_bytes_max: 128 * 1024,
            drain_deadline: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// Whether `address` is a reverse proxy we believe.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }

    /// Whether `address` counts against the per-address bound.
    pub(crate) fn counts(&self, address: IpAddr) -> bool {
        let here = address.to_canonical().is_loopback();
        (self.loopback_counts || !here) && !self.trusts(address)
    }
}

/// A range of addresses, written `10.0.0.0/8`, `fd00::/8` or as a single address.
///
/// ```
/// let lan: origin::Network = "192.168.0.0/16".parse().unwrap();
/// assert!(lan.contains("192.168.7.9".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// Why a text is not a [`Network`]. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address or an address range like 10.0.0.0/8")]
pub struct NotANetwork {
    /// What was given.
    pub text: String,
}

impl Network {
    /// Whether `address` lies in the range. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                prefix(u32::from(base).into(), u32::from(address).into(), 32, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => prefix(base.into(), address.into(), 128, self.bits),
            _ => false,
        }
    }
}

/// Whether the upper `bits` of two numbers of `width` bits agree.
fn prefix(left: u128, right: u128, width: u32, bits: u8) -> bool {
    let dropped = width.saturating_sub(bits.into());
    (left ^ right).checked_shr(dropped).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let wrong = || NotANetwork { text: text.to_owned() };
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width { Err(wrong()) } else { Ok(Network { base, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_hold_what_they_say() {
        let check = |network: &str, address: &str, inside| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("2001:db8::/32", "2001:db8:9::1", true);
        check("::/0", "2001:db8::1", true);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f:./]{0,24}") {
            let _ = text.parse::<Network>();
        }
    }
}
