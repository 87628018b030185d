//! Which addresses a copy may be sent to: the internet's, and none that only this machine or its network can reach. Without
//! this, whoever may add a target could knock at the doors behind the firewall (RELIABILITY D10).
//!
//! It is a list of what is allowed, not of what is forbidden: IPv6 outside global unicast (2000::/3) is refused as a whole.
//!
//! ```
//! use restream::guard::blocked;
//! assert_eq!(blocked("8.8.8.8".parse().unwrap()), None);
//! assert_eq!(blocked("::ffff:127.0.0.1".parse().unwrap()), Some("this machine itself"));
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What keeps a copy from this address, in words; `None` for one on the internet. Addresses that carry an IPv4 address inside
/// are judged by that one.
pub fn blocked(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => blocked_v4(v4),
        IpAddr::V6(v6) => blocked_v6(v6),
    }
}

/// By the IANA registry of special-purpose IPv4 addresses (RFC 6890 and its updates).
fn blocked_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [127, ..] => Some("this machine itself"),
        [169, 254, 169, 254] => Some("a cloud's metadata service"),
        [169, 254, ..] => Some("a link-local address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        // Alibaba's metadata service is in it, at 100.100.100.200.
        [100, 64..=127, ..] => Some("an address behind a provider's NAT"),
        [0, ..] => Some("an address of no host"),
        [192, 0, 0, _]
        | [192, 0, 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some("a reserved address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

/// By the IANA registry of special-purpose IPv6 addresses (RFC 6890 and its updates).
fn blocked_v6(address: Ipv6Addr) -> Option<&'static str> {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        blocked_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address of no host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine itself"),
        // IPv4-mapped, and IPv4-compatible (RFC 4291, 2.5.5).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => inner(high, low).or(Some("an IPv4 address in disguise")),
        // The translators' well-known prefix (RFC 6052): the address behind it decides.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        // 6to4 (RFC 3056): the packets go to the IPv4 address inside.
        [0x2002, high, low, ..] => inner(high, low).or(Some("a tunnel's address")),
        // Teredo, ORCHID, benchmarks (2001::/23), documentation (RFC 3849, RFC 9637).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a reserved address"),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some("a cloud's metadata service"),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_internet_is_open() {
        for address in [
            "1.1.1.1",
            "142.250.185.78",
            "100.63.255.255",
            "100.128.0.0",
            "172.32.0.1",
            "2a00:1450:4001::200e",
            "2600::",
        ] {
            assert_eq!(blocked(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn what_is_behind_the_firewall_is_not() {
        for (address, why) in [
            ("127.0.0.1", "this machine itself"),
            ("127.255.1.2", "this machine itself"),
            ("::1", "this machine itself"),
            ("::ffff:127.0.0.1", "this machine itself"),
            ("::127.0.0.1", "this machine itself"),
            ("64:ff9b::7f00:1", "this machine itself"),
            ("2002:7f00:1::", "this machine itself"),
            ("10.0.0.1", "a private address"),
            ("172.16.0.1", "a private address"),
            ("192.168.1.1", "a private address"),
            ("::ffff:192.168.1.1", "a private address"),
            ("fd00::1", "a private address"),
            ("169.254.1.1", "a link-local address"),
            ("fe80::1", "a link-local address"),
            ("169.254.169.254", "a cloud's metadata service"),
            ("::ffff:169.254.169.254", "a cloud's metadata service"),
            ("fd00:ec2::254", "a cloud's metadata service"),
            ("100.64.0.1", "an address behind a provider's NAT"),
            ("100.100.100.200", "an address behind a provider's NAT"),
            ("0.0.0.0", "an address of no host"),
            ("::", "an address of no host"),
            ("224.0.0.1", "a multicast address"),
            ("255.255.255.255", "a reserved address"),
            ("2001::1", "a reserved address"),
            ("::ffff:8.8.8.8", "an IPv4 address in disguise"),
            ("fec0::1", "a reserved address"),
        ] {
            assert_eq!(blocked(address.parse().unwrap()), Some(why), "{address}");
        }
    }

    proptest! {
        #[test]
        fn what_std_knows_to_be_special_is_blocked(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let special = v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_unspecified() || v4.is_multicast();
            prop_assert!(!special || blocked(v4.into()).is_some(), "{v4}");
        }

        #[test]
        fn no_disguise_opens_a_blocked_address(bits: u32, rest: u64) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let tail = [rest as u16, (rest >> 16) as u16, (rest >> 32) as u16, (rest >> 48) as u16];
            let disguises = [
                v4.to_ipv6_mapped(),
                v4.to_ipv6_compatible(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, tail[0], tail[1], tail[2], tail[3], 1),
            ];
            for disguise in disguises {
                prop_assert!(blocked(v4.into()).is_none() || blocked(disguise.into()).is_some(), "{disguise}");
            }
        }

        #[test]
        fn only_global_unicast_is_open(segments: [u16; 8]) {
            let v6 = Ipv6Addr::from(segments);
            let is_translated = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            prop_assert!(blocked(v6.into()).is_some() || segments[0] >> 13 == 1 || is_translated, "{v6}");
        }
    }
}
