use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where a listener listens, or that it does not: `off`, `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`, or a port alone
/// for every IPv4 address. Port 0 takes any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// No listener.
    Off,
    /// This address.
    At(SocketAddr),
}

impl Listen {
    /// Every IPv4 address of the machine.
    pub const fn everywhere(port: u16) -> Self {
        Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
    }

    /// The address, `None` when off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
            return Ok(Self::everywhere(port));
        }
        if let Some(Ok(port)) = text.strip_prefix("localhost:").map(str::parse::<u16>) {
            return Ok(Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "{text:?} is no address to listen on; write ADDRESS:PORT such as 0.0.0.0:8080, a port alone, or off"
            )
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => write!(f, "{address}"),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ADDRESS:PORT such as 0.0.0.0:8080, a port alone, or off")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, port: u64) -> Result<Listen, E> {
                u16::try_from(port)
                    .map(Listen::everywhere)
                    .map_err(|_| E::custom(format!("{port} is no port; it takes 0 to 65535")))
            }

            fn visit_i64<E: Error>(self, port: i64) -> Result<Listen, E> {
                u16::try_from(port)
                    .map(Listen::everywhere)
                    .map_err(|_| E::custom(format!("{port} is no port; it takes 0 to 65535")))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ports_and_off_are_read() {
        let read = |text: &str| text.parse::<Listen>().map(|l| l.to_string());
        assert_eq!(read("off").unwrap(), "off");
        assert_eq!(read("8080").unwrap(), "0.0.0.0:8080");
        assert_eq!(read(":0").unwrap(), "0.0.0.0:0");
        assert_eq!(read("localhost:80").unwrap(), "127.0.0.1:80");
        assert_eq!(read("[::1]:80").unwrap(), "[::1]:80");
        assert!(read("0.0.0.0").unwrap_err().contains("ADDRESS:PORT"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_is_not(text in "\\PC{0,40}") {
            if let Ok(listen) = text.parse::<Listen>() {
                proptest::prop_assert_eq!(listen.to_string().parse::<Listen>().unwrap(), listen);
            }
        }
    }
}
