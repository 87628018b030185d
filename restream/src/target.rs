use crate::Rules;
use std::fmt;

/// Longest address, bytes.
const URL_BYTES_MAX: usize = 400;
/// Longest key, bytes: what `rtmp` sends of a name without a second thought. YouTube's have 24, Facebook's about 70.
const KEY_BYTES_MAX: usize = 512;

/// Why something is no target. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// The address is none of an RTMP server.
    #[error(
        "the address is not understood: {0}; use rtmp://HOST/APPLICATION or rtmps://HOST/APPLICATION, without the key"
    )]
    Url(&'static str),
    /// The key cannot be one.
    #[error("the key is {0}; copy it again from where the service shows it")]
    Key(&'static str),
    /// The short name of a service's server that is none.
    #[error("the ingest {0:?} is not understood; use the short name out of the service's list, such as fra02")]
    Ingest(String),
}

/// Where a copy goes, without its key: `rtmp://HOST[:PORT]/APPLICATION`, or `rtmps://…`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetUrl {
    tls: bool,
    host: String,
    port: u16,
    app: String,
}

impl TargetUrl {
    /// Reads an address; white space around it is ignored, the port is 1935, with TLS 443, where none is given.
    ///
    /// # Errors
    /// [`BadTarget::Url`] with what is wrong. An address that holds a user or a password is refused.
    pub fn parse(given: &str) -> Result<Self, BadTarget> {
        let bad = |why| Err(BadTarget::Url(why));
        let text = given.trim();
        if text.len() > URL_BYTES_MAX {
            return bad("it is longer than 400 characters");
        }
        if text.chars().any(|c| !c.is_ascii_graphic()) {
            return bad("it holds spaces or letters outside ASCII");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad("it does not begin with rtmp:// or rtmps://");
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return bad("it does not begin with rtmp:// or rtmps://"),
        };
        let (authority, app) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return bad("it holds a user name");
        }
        if app.contains('#') {
            return bad("it holds a #");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => match v6.split_once(']') {
                Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
                _ => return bad("its IPv6 address is none"),
            },
            None => match authority.find(':') {
                Some(colon) => authority.split_at(colon),
                None => (authority, ""),
            },
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => {
                if tls {
                    443
                } else {
                    1935
                }
            }
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return bad("its port is none"),
            },
            None => return bad("its port is none"),
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 253 || !(host.contains(':') || host.bytes().all(is_name)) {
            return bad("its host is none");
        }
        let app = app.trim_end_matches('/');
        if app.is_empty() || app.starts_with('?') {
            return bad("it names no application behind the host");
        }
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, app: app.to_owned() })
    }

    /// Name or address of the server; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// What `connect` names: the path with its query.
    pub(crate) fn app(&self) -> &str {
        &self.app
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.tls { ("rtmps", 443) } else { ("rtmp", 1935) };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.app)
    }
}

/// The secret a service knows a streamer by. It has no `Display` and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetKey {
    text: String,
}

impl TargetKey {
    /// Reads a key as somebody gave it, white space around it ignored.
    ///
    /// # Errors
    /// [`BadTarget::Key`] when it is empty, too long, or holds what no key does.
    pub fn parse(given: &str) -> Result<Self, BadTarget> {
        let text = given.trim();
        match text {
            "" => Err(BadTarget::Key("empty")),
            _ if text.len() > KEY_BYTES_MAX => Err(BadTarget::Key("longer than 512 characters")),
            _ if text.chars().any(|c| c.is_control() || c.is_whitespace()) => Err(BadTarget::Key("more than one word")),
            _ => Ok(Self { text: text.to_owned() }),
        }
    }

    /// The key in clear, for the wire and for sealing.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// A stranger's words without the key, should they hold it.
    pub(crate) fn struck_from(&self, words: &str) -> String {
        /// A shorter part may be a word like any other.
        const NAME_BYTES_MIN: usize = 6;
        let struck = words.replace(&self.text, "…");
        // Some servers name the stream without its query.
        match self.text.split('?').next().filter(|name| name.len() >= NAME_BYTES_MIN) {
            Some(name) => struck.replace(name, "…"),
            None => struck,
        }
    }
}

impl fmt::Debug for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TargetKey(redacted)")
    }
}

/// Where a copy goes, and what is wanted there.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The server.
    pub url: TargetUrl,
    /// The secret.
    pub key: TargetKey,
    /// What the server takes.
    pub rules: Rules,
    /// A source without sound gets silence.
    pub silence: bool,
    /// It may be at an address that is nobody's on the internet; see [`crate::guard`].
    pub allow_private: bool,
    /// Which kind of service it is, for metrics: a short word of a short list.
    pub service: &'static str,
}

impl Target {
    /// A target of which nothing is known but its address.
    pub fn new(url: TargetUrl, key: TargetKey) -> Self {
        let custom = crate::preset::CUSTOM;
        Self { url, key, rules: custom.rules, silence: false, allow_private: false, service: custom.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(given: &str, host: &str, port: u16, app: &str, shown: &str) {
        let url = TargetUrl::parse(given).unwrap();
        assert_eq!((url.host(), url.port(), url.app(), url.to_string().as_str()), (host, port, app, shown), "{given}");
    }

    #[test]
    fn addresses_are_read_and_shown() {
        check("rtmp://a.example/live2", "a.example", 1935, "live2", "rtmp://a.example/live2");
        check(" RTMPS://A.Example:443/rtmp/ ", "a.example", 443, "rtmp", "rtmps://a.example/rtmp");
        check(
            "rtmp://b.example/live2?backup=1",
            "b.example",
            1935,
            "live2?backup=1",
            "rtmp://b.example/live2?backup=1",
        );
        check("rtmps://[2001:db8::7]:8443/a/b", "2001:db8::7", 8443, "a/b", "rtmps://[2001:db8::7]:8443/a/b");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for given in [
            "",
            "a.example/live",
            "http://a.example/live",
            "rtmp://a.example",
            "rtmp://a.example/",
            "rtmp:///live",
            "rtmp://me:hunter2@a.example/live",
            "rtmp://a.example:0/live",
            "rtmp://a.example:x/live",
            "rtmp://[::1/live",
            "rtmp://a b/live",
            "rtmp://a.example/?x",
            "rtmp://[::1]x/live",
            "rtmp://ä.example/live",
            "rtmp://a.example/l#x",
        ] {
            let refused = TargetUrl::parse(given).unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_key_is_one_word_and_never_shown() {
        let key = TargetKey::parse(" live_12-ab\n").unwrap();
        assert_eq!((key.reveal(), format!("{key:?}").as_str()), ("live_12-ab", "TargetKey(redacted)"));
        assert_eq!(key.struck_from("stream live_12-ab is not known"), "stream … is not known");
        for given in ["", " ", "two words", "a\nb", &"x".repeat(513)] {
            assert!(TargetKey::parse(given).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_is_not(text in "(rtmps?://)?\\PC{0,40}") {
            if let Ok(url) = TargetUrl::parse(&text) {
                prop_assert_eq!(TargetUrl::parse(&url.to_string()).unwrap(), url);
            }
        }
    }
}
