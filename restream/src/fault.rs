//! Why a target does not get its copy, as cause and cure in one sentence.

use crate::target::TargetKey;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Longest words of a server that are passed on, characters.
const WORDS_MAX: usize = 200;

/// What a TLS connection failed at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The certificate is another host's.
    #[error("the certificate of {0} is made out to another name; check the host in the address")]
    Name(String),
    /// The certificate's time is over, or has not come.
    #[error("the certificate of {0} is not valid now; its owner has to renew it, or this machine's clock is wrong")]
    Expired(String),
    /// Nobody we trust signed the certificate.
    #[error(
        "the certificate of {0} is signed by nobody this machine trusts; add the signer's certificate as restream.extra_ca, or check the host in the address"
    )]
    Issuer(String),
    /// Anything else.
    #[error("TLS with {host} failed: {words}; check that the server speaks rtmps at this port")]
    Other {
        /// The server.
        host: String,
        /// What the TLS library says.
        words: String,
    },
}

/// Why a target does not get its copy. Whose fault it is: the operator's or the streamer's where [`Fault::is_refusal`], else the
/// target's or the network's, and trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The name has no address.
    #[error("there is no host {0}; check the address")]
    NoSuchHost(String),
    /// The name service does not answer.
    #[error("the name service gave no answer for {0}; check this machine's DNS")]
    NameService(String),
    /// Every address of the host is one that a copy may not go to.
    #[error(
        "{host} is at {address}, {why}, where copies may not go; use a public server, or have the operator allow it (restream.allow_private)"
    )]
    Blocked {
        /// The server.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody listens there.
    #[error("{0} takes no connections; check host and port, or wait until the server is up")]
    ConnectionRefused(String),
    /// No answer to a connection.
    #[error("{host} does not answer within {seconds} s; check host and port, and that no firewall is between")]
    ConnectTimeout {
        /// The server.
        host: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The network has no way there.
    #[error("{host} can't be reached: {words}; check this machine's network")]
    Unreachable {
        /// The server.
        host: String,
        /// What the system says.
        words: String,
    },
    /// TLS failed.
    #[error(transparent)]
    Tls(TlsFault),
    /// What answers there is no RTMP server.
    #[error("what answers at {0} does not speak RTMP; check host, port and whether it wants rtmps")]
    Garbage(String),
    /// The connection is there, and nothing is said on it.
    #[error(
        "{host} took the connection and did not {step} within {seconds} s; check host, port and whether it wants rtmps"
    )]
    Mute {
        /// The server.
        host: String,
        /// What it did not do.
        step: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The server does not know the application.
    #[error("the server knows no such application ({0}); check what stands behind the host in the address")]
    NoApp(String),
    /// The server does not take the key.
    #[error("the key was refused ({0}); copy it again from where the service shows it")]
    BadKey(String),
    /// Somebody publishes with this key already: another encoder, another target of ours, or the connection before this one.
    #[error("somebody is live with this key already ({0}); end the other one, or wait until the server lets go of it")]
    InUse(String),
    /// The server closed when it was shown the key.
    #[error(
        "the server closed the connection when it was shown the key; most likely the key is wrong or already in use"
    )]
    ClosedAtKey,
    /// The server refused in words of its own.
    #[error("the server refused: {0}")]
    Rejected(String),
    /// The server closed before anything was asked of it.
    #[error("{0} closed the connection before the stream could begin; check host, port and whether it wants rtmps")]
    ClosedEarly(String),
    /// The server closed in the middle of the stream.
    #[error(
        "the server closed the connection after {0} s; if that happens again, look at the service's own page for the reason"
    )]
    Closed(u64),
    /// The server ended the stream in words.
    #[error("the server ended the stream after {seconds} s ({words}); look at the service's own page for the reason")]
    Ended {
        /// How long it had been live.
        seconds: u64,
        /// The status.
        words: String,
    },
    /// The server takes nothing any more.
    #[error("the server took nothing for {0} s; it, or the network to it, stands still")]
    Stalled(u64),
    /// The source has pictures that the target does not take.
    #[error("the service takes no {0}; set the encoder to H.264")]
    VideoCodec(&'static str),
    /// The same of the sound.
    #[error("the service takes no {0}; set the encoder to AAC")]
    AudioCodec(&'static str),
}

impl Fault {
    /// A word for programs and for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchHost(_) => "no_such_host",
            Self::NameService(_) => "name_service",
            Self::Blocked { .. } => "blocked_address",
            Self::ConnectionRefused(_) => "connection_refused",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls(TlsFault::Name(_)) => "tls_name",
            Self::Tls(TlsFault::Expired(_)) => "tls_expired",
            Self::Tls(TlsFault::Issuer(_)) => "tls_issuer",
            Self::Tls(TlsFault::Other { .. }) => "tls",
            Self::Garbage(_) => "not_rtmp",
            Self::Mute { .. } => "mute",
            Self::NoApp(_) => "no_application",
            Self::BadKey(_) => "bad_key",
            Self::InUse(_) => "in_use",
            Self::ClosedAtKey => "closed_at_key",
            Self::Rejected(_) => "rejected",
            Self::ClosedEarly(_) => "closed_early",
            Self::Closed(_) => "closed",
            Self::Ended { .. } => "ended",
            Self::Stalled(_) => "stalled",
            Self::VideoCodec(_) => "video_codec",
            Self::AudioCodec(_) => "audio_codec",
        }
    }

    /// Somebody has to change something: the key, the address, a setting. It is tried again all the same, as the change may be
    /// made at the other end.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Blocked { .. }
                | Self::NoApp(_)
                | Self::BadKey(_)
                | Self::InUse(_)
                | Self::ClosedAtKey
                | Self::Rejected(_)
                | Self::VideoCodec(_)
                | Self::AudioCodec(_)
        )
    }

    /// A refusal of a key that worked a while ago: the server may still hold the connection before for the one that publishes.
    pub(crate) fn may_be_ourselves(&self) -> bool {
        matches!(self, Self::BadKey(_) | Self::InUse(_) | Self::ClosedAtKey)
    }

    /// Of an error of the RTMP session on a connection to `host`, in a server's words without the key.
    pub(crate) fn of_rtmp(error: &rtmp::Error, host: &str, key: &TargetKey, lived: Option<Duration>) -> Self {
        let rtmp::Error::Refused { code, description } = error else { return Self::Garbage(host.to_owned()) };
        let words = match description.trim() {
            "" => words(code, key),
            said => words(said, key),
        };
        let means = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
        let words = if words.is_empty() { "without a reason".to_owned() } else { words };
        if let Some(lived) = lived {
            return Self::Ended { seconds: lived.as_secs(), words };
        }
        match () {
            () if means(&["InvalidApp"]) => Self::NoApp(words),
            // nginx-rtmp's "Already publishing", SRS's "StreamBusy", Weir's "is live already".
            () if is_in_use(code) || is_in_use(&words) => Self::InUse(words),
            // What nginx-rtmp, SRS, Wowza, Twitch and Weir answer to a key they do not take.
            () if means(&["Publish.BadName", "Publish.Denied", "Publish.Unauthorized", "Publish.Rejected"]) => {
                Self::BadKey(words)
            }
            () if code == "close" => Self::ClosedAtKey,
            () => Self::Rejected(words),
        }
    }

    /// Of a connection that was not to be had.
    pub(crate) fn of_connect(error: &io::Error, host: &str) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused(host.to_owned()),
            _ => Self::Unreachable { host: host.to_owned(), words: clean(&error.to_string()) },
        }
    }

    /// Of a TLS handshake that failed.
    pub(crate) fn of_tls(error: &io::Error, host: &str) -> Self {
        use rustls::{CertificateError as Bad, Error};
        let host = host.to_owned();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let fault = match inner {
            Some(Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. })) => {
                TlsFault::Name(host)
            }
            Some(Error::InvalidCertificate(
                Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
            )) => TlsFault::Expired(host),
            // A certificate that is its own authority is used as one by nobody who should be trusted (`CaUsedAsEndEntity`).
            Some(Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature | Bad::Other(_))) => {
                TlsFault::Issuer(host)
            }
            Some(other) => TlsFault::Other { host, words: clean(&other.to_string()) },
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                TlsFault::Other { host, words: "it closed the connection".to_owned() }
            }
            None => TlsFault::Other { host, words: clean(&error.to_string()) },
        };
        Self::Tls(fault)
    }
}

fn is_in_use(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["already", "busy", "in use"].iter().any(|word| said.contains(word))
}

/// A stranger's words for our pages and logs: one line, not long, without the key.
pub(crate) fn words(said: &str, key: &TargetKey) -> String {
    clean(&key.struck_from(said))
}

fn clean(said: &str) -> String {
    let plain: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
    plain.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> TargetKey {
        TargetKey::parse("live_secret").unwrap()
    }

    fn refused(code: &str, description: &str) -> Fault {
        let error = rtmp::Error::Refused { code: code.into(), description: description.into() };
        Fault::of_rtmp(&error, "h", &key(), None)
    }

    #[test]
    fn what_servers_say_is_understood() {
        for (code, description, expected) in [
            ("NetStream.Publish.BadName", "Already publishing", "in_use"),
            ("NetStream.Publish.BadName", "stream is busy", "in_use"),
            ("NetStream.Publish.BadName", "", "bad_key"),
            ("NetStream.Publish.Denied", "", "bad_key"),
            ("NetStream.Publish.Rejected", "", "bad_key"),
            ("NetConnection.Connect.InvalidApp", "", "no_application"),
            ("NetConnection.Connect.Rejected", "[ AccessManager.Reject ]", "rejected"),
            ("close", "the server closed the connection", "closed_at_key"),
            ("", "", "rejected"),
        ] {
            assert_eq!(refused(code, description).code(), expected, "{code}");
        }
        assert_eq!(Fault::of_rtmp(&rtmp::Error::NotRtmp { version: 72 }, "h", &key(), None).code(), "not_rtmp");
    }

    #[test]
    fn a_servers_words_are_passed_on_without_the_key() {
        let said = refused("NetStream.Publish.BadName", "stream live_secret\r\nis not known.").to_string();
        assert_eq!(said, "the key was refused (stream …  is not known); copy it again from where the service shows it");
    }

    #[test]
    fn an_end_in_words_is_no_refusal_of_the_key() {
        let error = rtmp::Error::Refused { code: "NetStream.Publish.BadName".into(), description: String::new() };
        let fault = Fault::of_rtmp(&error, "h", &key(), Some(Duration::from_secs(9)));
        assert!(matches!(&fault, Fault::Ended { seconds: 9, .. }) && !fault.is_refusal(), "{fault}");
    }

    proptest! {
        #[test]
        fn no_words_hold_the_key_or_a_line_break(before in "\\PC{0,20}", after in "\\PC{0,300}") {
            let shown = refused("x", &format!("{before}live_secret{after}\n")).to_string();
            prop_assert!(!shown.contains("live_secret") && !shown.contains('\n'), "{}", shown);
        }
    }
}
