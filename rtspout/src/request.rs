//! The little of RTSP (RFC 2326) that is read before a connection is handed to a worker: a request's first line and three of
//! its header fields. Pure. What it can't read it refuses, and it never looks at more than [`HEAD_MAX`] bytes.

use data_encoding::BASE64;
use std::fmt;

/// Longest request line and header together, bytes.
pub(crate) const HEAD_MAX: usize = 8 << 10;
/// Longest path with its query, and longest part of it: a name of a stream, of a rung, a token.
const PATH_MAX: usize = 512;
const PART_MAX: usize = 200;
/// Longest name and password.
const CREDENTIALS_MAX: usize = 512;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// What the answer has to repeat: digits.
    pub(crate) sequence: Option<String>,
    /// `None` for `*` and what can be the path of no stream.
    pub(crate) path: Option<Path>,
    pub(crate) credentials: Option<Credentials>,
    /// A body follows it.
    pub(crate) has_body: bool,
}

/// Methods, as far as a stranger's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Asks what may be asked.
    Options,
    /// The first requests for a stream.
    Describe,
    /// See there.
    Setup,
    /// Wants to send a stream.
    Publish,
    /// Needs a session, which no stranger has.
    InSession,
    /// None that is known.
    Other,
    /// Any of another version of the protocol.
    Later,
}

/// The path of a stream: `/NAME`, `/NAME/RUNG`, either behind `/p/TOKEN`, and with `/stream=N` for one of its tracks. A query, which
/// some recorders want, means nothing; they put the track behind it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) stream: String,
    pub(crate) rung: Option<String>,
    pub(crate) token: Option<String>,
    /// All of it but the track, with the query.
    pub(crate) mount: String,
}

/// It may hold a token.
impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Path").field("stream", &self.stream).field("rung", &self.rung).finish_non_exhaustive()
    }
}

/// A user's name and password, as they came. `Debug` hides both.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Why bytes are no request. The clauses are for the log and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("its first line is no RTSP request")]
    Line,
    #[error("its header has more than {HEAD_MAX} bytes")]
    Long,
    #[error("its header holds what is no text")]
    Text,
    #[error("its header has a line that is no field")]
    Field,
}

impl Request {
    /// Reads the first request of `bytes`; gives how many of them it takes, without a body. `None` when it is not all there.
    ///
    /// # Errors
    /// When it is no request, as soon as that can be told.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let window = bytes.get(..HEAD_MAX).unwrap_or(bytes);
        let end = window.windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map_or(window, |end| &window[..end]);
        let is_text = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\t' | b' '..=b'~');
        if !head.iter().all(is_text) {
            return Err(Malformed::Text);
        }
        let text = str::from_utf8(head).map_err(|_| Malformed::Text)?;
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let is_begun = text.contains("\r\n") || end.is_some();
        // Another protocol is told from its first bytes, as who speaks it may send nothing more.
        let first = line.split(' ').next().unwrap_or_default();
        if first.len() > 20 || !first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            return Err(Malformed::Line);
        }
        let mut words = line.split(' ');
        let (method, uri, version) = (words.next(), words.next(), words.next());
        if is_begun && (!version.is_some_and(|version| version.starts_with("RTSP/")) || words.next().is_some()) {
            return Err(Malformed::Line);
        }
        let Some(end) = end else {
            return if bytes.len() >= HEAD_MAX { Err(Malformed::Long) } else { Ok(None) };
        };
        let is_spoken = version.is_some_and(|version| version.starts_with("RTSP/1."));
        let method = match method.unwrap_or_default() {
            _ if !is_spoken => Method::Later,
            "OPTIONS" => Method::Options,
            "DESCRIBE" => Method::Describe,
            "SETUP" => Method::Setup,
            "ANNOUNCE" | "RECORD" => Method::Publish,
            "PLAY" | "PAUSE" | "TEARDOWN" | "GET_PARAMETER" | "SET_PARAMETER" => Method::InSession,
            _ => Method::Other,
        };
        let mut request = Self {
            method,
            sequence: None,
            path: Path::of(uri.unwrap_or_default()),
            credentials: None,
            has_body: false,
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Malformed::Field)?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("cseq") {
                let is_number = (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
                request.sequence = is_number.then(|| value.to_owned());
            } else if name.eq_ignore_ascii_case("authorization") {
                request.credentials = Credentials::basic(value);
            } else if name.eq_ignore_ascii_case("content-length") {
                request.has_body |= value != "0";
            }
        }
        Ok(Some((request, end + 4)))
    }
}

impl Path {
    fn of(uri: &str) -> Option<Self> {
        let path = match uri.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/')?..],
            None => uri,
        };
        if path.len() > PATH_MAX {
            return None;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'=');
        if !parts.iter().all(|part| part.len() <= PART_MAX && part.bytes().all(is_name)) {
            return None;
        }
        if parts.len() > 1 && parts.last().is_some_and(|last| last.starts_with("stream=")) {
            parts.pop();
        }
        let query =
            query.rsplit_once('/').filter(|(_, track)| track.starts_with("stream=")).map_or(query, |(query, _)| query);
        let mark = if query.is_empty() { "" } else { "?" };
        let mount = format!("/{}{mark}{query}", parts.join("/"));
        let token = (parts.len() > 2 && parts[0] == "p").then(|| parts[1].to_owned());
        let named = if token.is_some() { &parts[2..] } else { &parts[..] };
        match *named {
            [stream] => Some(Self { stream: stream.to_owned(), rung: None, token, mount }),
            [stream, rung] => Some(Self { stream: stream.to_owned(), rung: Some(rung.to_owned()), token, mount }),
            _ => None,
        }
    }
}

impl Credentials {
    /// RFC 7617, in UTF-8.
    fn basic(value: &str) -> Option<Self> {
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > CREDENTIALS_MAX {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<(Request, usize)>, Malformed> {
        Request::parse(text.as_bytes())
    }

    fn path(uri: &str) -> Option<(String, Option<String>, Option<String>, String)> {
        Path::of(uri).map(|path| (path.stream, path.rung, path.token, path.mount))
    }

    #[test]
    fn a_request_is_read_with_what_belongs_to_it() {
        let text = "DESCRIBE rtsp://h:8554/show RTSP/1.0\r\nCSeq: 3\r\nAuthorization: Basic b2JzOmE6Yg==\r\n\r\nrest";
        let (request, used) = parse(text).unwrap().unwrap();
        assert_eq!((request.method, request.sequence.as_deref(), used), (Method::Describe, Some("3"), text.len() - 4));
        let credentials = request.credentials.clone().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("obs", "a:b"));
        assert!(!format!("{request:?}").contains("a:b"));
        for at in 0..text.len() - 5 {
            assert_eq!(parse(&text[..at]), Ok(None), "{at}");
        }
    }

    #[test]
    fn paths_name_a_stream_its_rung_and_a_token() {
        let named = |stream: &str, rung: Option<&str>, token: Option<&str>, mount: &str| {
            Some((stream.to_owned(), rung.map(str::to_owned), token.map(str::to_owned), mount.to_owned()))
        };
        assert_eq!(path("rtsp://h/show"), named("show", None, None, "/show"));
        assert_eq!(path("rtsp://[::1]:1/show/?"), named("show", None, None, "/show"));
        assert_eq!(path("rtsp://[::1]:1/show/?x=1"), named("show", None, None, "/show?x=1"));
        assert_eq!(path("rtsp://h/show?a/b/stream=1"), named("show", None, None, "/show?a/b"));
        assert_eq!(path("rtsp://h/show/stream=1?tcp"), named("show", None, None, "/show?tcp"));
        assert_eq!(path("rtsp://h/show/720p/stream=1"), named("show", Some("720p"), None, "/show/720p"));
        assert_eq!(path("/p/AbC-_/show/720p"), named("show", Some("720p"), Some("AbC-_"), "/p/AbC-_/show/720p"));
        assert_eq!(path("/p/show"), named("p", Some("show"), None, "/p/show"));
        for none in ["*", "rtsp://h", "rtsp://h/", "/a/b/c", "/p/t/a/b/c", "/%2e%2e/x", "/a b", ""] {
            assert_eq!(path(none), None, "{none}");
        }
    }

    #[test]
    fn a_later_version_of_the_protocol_is_read_as_far_as_its_answer_needs() {
        let (request, _) = Request::parse(b"DESCRIBE rtsp://h/show RTSP/2.0\r\nCSeq: 7\r\n\r\n").unwrap().unwrap();
        assert_eq!((request.method, request.sequence.as_deref()), (Method::Later, Some("7")));
    }

    #[test]
    fn what_is_no_rtsp_is_told_at_once() {
        let malformed = |bytes: &[u8]| Request::parse(bytes).unwrap_err();
        assert_eq!(malformed(b"GET / HTTP/1.1\r\n"), Malformed::Line);
        assert_eq!(malformed(b"\x16\x03\x01"), Malformed::Text);
        assert_eq!(malformed(b"hello"), Malformed::Line);
        assert_eq!(malformed(b"OPTIONS * RTSP/1.0\r\nno field\r\n\r\n"), Malformed::Field);
        assert_eq!(malformed(&[b'A'; 21]), Malformed::Line);
        let long = format!("OPTIONS * RTSP/1.0\r\nX: {}", "a".repeat(HEAD_MAX));
        assert_eq!(parse(&long), Err(Malformed::Long));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Request::parse(&bytes);
        }

        #[test]
        fn what_is_read_lies_in_the_bytes(
            path in "[a-z/=.?:@*%]{0,20}",
            fields in "([A-Za-z-]{1,14}: ?[ -~]{0,30}\r\n){0,4}",
        ) {
            let text = format!("SETUP {path} RTSP/1.0\r\n{fields}\r\nmore");
            if let Ok(Some((request, used))) = parse(&text) {
                prop_assert!(used <= text.len());
                if let Some(path) = request.path {
                    prop_assert!(path.mount.starts_with('/') && path.mount.contains(&path.stream));
                }
            }
        }
    }
}
