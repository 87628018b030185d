use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What limits count together: one IPv4 address (mapped into IPv6 or not), or an IPv6 /64, which is what one household
/// or one server usually has whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Neighbourhood {
    /// One address.
    V4(Ipv4Addr),
    /// The upper 64 bits.
    V6(u64),
}

impl Neighbourhood {
    /// Whether it is this machine itself.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::V4(address) => address.is_loopback(),
            // All of ::/64 that can connect is ::1, as mapped addresses were taken for IPv4.
            Self::V6(upper) => *upper == 0,
        }
    }
}

impl From<IpAddr> for Neighbourhood {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// `192.0.2.1` or `2001:db8::/64`.
impl fmt::Display for Neighbourhood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(upper) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*upper) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Neighbourhood {
        Neighbourhood::from(text.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn a_slash_64_is_one_neighbour_and_an_ipv4_address_is_one() {
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn this_machine_is_known_by_all_its_addresses() {
        assert!(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].iter().all(|a| of(a).is_loopback()));
        assert!(!of("192.0.2.1").is_loopback() && !of("fe80::1").is_loopback());
    }

    proptest! {
        #[test]
        fn the_lower_64_bits_never_matter(upper in 1u64.., a: u64, b: u64) {
            let at = |lower: u64| Neighbourhood::from(IpAddr::V6((u128::from(upper) << 64 | u128::from(lower)).into()));
            prop_assert_eq!(at(a), at(b));
        }
    }
}
