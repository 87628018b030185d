//! What every request passes before the router: the checks that hold for all of them.

use crate::activity::{Activity, Reported};
use crate::gate::{Gate, REFUSED, Share};
use crate::limits::Limits;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

/// Who sent a request. Every handler finds it in the request's extensions, beside axum's `ConnectInfo<SocketAddr>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the TCP connection.
    pub socket: SocketAddr,
    /// The viewer's own address: the socket's, or behind a trusted proxy the last address in `X-Forwarded-For` that
    /// is not itself a trusted proxy.
    pub client: IpAddr,
    /// Whether the connection to us is encrypted.
    pub tls: bool,
}

/// The checks of one connection and the router behind them.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) router: Router,
    pub(crate) activity: Arc<Activity>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) socket: SocketAddr,
    pub(crate) tls: bool,
}

impl Front {
    /// Answers one request. A handler that panics costs this request only: 500, counted.
    pub(crate) async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Reported>, Infallible> {
        let in_flight = self.activity.begin();
        let http2 = request.version() == Version::HTTP_2;
        let client = client(self.socket.ip(), request.headers(), &self.limits);
        let (mut response, share) = match self.checked(request, client) {
            Err(refusal) => (refusal.response(client), None),
            Ok((request, share)) => match AssertUnwindSafe(self.router.call(request)).catch_unwind().await {
                Ok(Ok(response)) => (response, share),
                Err(_) => (Refused::PANIC.response(client), share),
            },
        };
        if response.status().is_server_error() {
            // A cache that kept an error would show it to everyone for longer than it lasts.
            response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        }
        Ok(response.map(|body| Reported::new(body, http2, in_flight, share)))
    }

    /// The request as handlers get it, with the viewer's share when it came through a proxy.
    fn checked(&self, request: Request<Incoming>, client: IpAddr) -> Result<(Request<Body>, Option<Share>), Refused> {
        let headers = request.headers();
        if headers.len() > self.limits.headers_max {
            return Err(Refused::HEADERS);
        }
        if !is_host_sound(request.version(), request.uri(), headers) {
            return Err(Refused::HOST);
        }
        if request.method() == Method::CONNECT {
            return Err(Refused::METHOD);
        }
        let is_stream = is_stream(request.method(), headers);
        let is_upload = request.method() == Method::PUT;
        let bytes_max = match is_upload {
            _ if is_stream => u64::MAX,
            true => self.limits.upload_bytes_max,
            false => self.limits.body_bytes_max,
        };
        let (patience, in_all) = (self.limits.progress_deadline, self.limits.body_deadline);
        if request.body().size_hint().lower() > bytes_max {
            return Err(Refused::BODY);
        }
        let behind_proxy = client != self.socket.ip().to_canonical();
        let share = behind_proxy.then(|| self.gate.request(client, &self.limits)).transpose();
        let share = share.map_err(|_| Refused::SHARE)?.flatten();
        let peer = Peer { socket: self.socket, client, tls: self.tls };
        let mut request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => {
                let deadline = Box::pin(sleep(if is_stream { patience } else { in_all }));
                Body::new(Bounded { body, left: bytes_max, deadline, patience: is_stream.then_some(patience) })
            }
        });
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(ConnectInfo(self.socket));
        Ok((request, share))
    }
}

/// A piece of a file of any length (tus 1.0). Its handler reads it as it comes, and not before it knows who sends it.
fn is_stream(method: &Method, headers: &HeaderMap) -> bool {
    let is_piece = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/offset+octet-stream");
    is_piece && (*method == Method::PATCH || *method == Method::POST)
}

/// HTTP/1.1 asks for exactly one Host (RFC 9112 section 3.2), HTTP/2 for an authority or a Host that do not differ (RFC 9113
/// section 8.3.1), HTTP/1.0 for one at most. With two, a proxy in front and we could disagree.
fn is_host_sound(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, further) = (hosts.next(), hosts.next());
    if further.is_some() || !host.is_none_or(|host| is_host(host.as_bytes())) {
        return false;
    }
    match version {
        Version::HTTP_09 | Version::HTTP_10 => true,
        Version::HTTP_2 => match (uri.authority(), host) {
            (Some(authority), Some(host)) => authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()),
            (authority, host) => authority.is_some() || host.is_some(),
        },
        _ => host.is_some(),
    }
}

/// Only what can stand in a host and a port.
fn is_host(text: &[u8]) -> bool {
    text.iter().all(
        |byte| matches!(byte, b'!' | b'$'..=b'.' | b'0'..=b';' | b'=' | b'A'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~'),
    )
}

/// The address behind trusted proxies, read from the right: whatever a stranger wrote stands further left.
fn client(socket: IpAddr, headers: &HeaderMap, limits: &Limits) -> IpAddr {
    let mut client = socket.to_canonical();
    if limits.trusted_proxies.is_empty() || !limits.trusts(client) {
        return client;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address.to_canonical();
        if !limits.trusts(client) {
            break;
        }
    }
    client
}

/// One entry of `X-Forwarded-For`: an address, with a port from some proxies.
fn hop_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// A refusal before any handler: always the client's fault, except the last.
struct Refused {
    status: StatusCode,
    cause: &'static str,
    sentence: &'static str,
}

impl Refused {
    const HEADERS: Refused = Refused {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        cause: "headers",
        sentence: "The request has too many header fields.\n",
    };
    const HOST: Refused = Refused {
        status: StatusCode::BAD_REQUEST,
        cause: "host",
        sentence: "A request needs exactly one valid host.\n",
    };
    const SHARE: Refused = Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        cause: "address_max",
        sentence: "Too many requests of your address are open; ask again when one has ended.\n",
    };
    const METHOD: Refused =
        Refused { status: StatusCode::METHOD_NOT_ALLOWED, cause: "method", sentence: "This server is not a proxy.\n" };
    const BODY: Refused =
        Refused { status: StatusCode::PAYLOAD_TOO_LARGE, cause: "body", sentence: "The request body is too large.\n" };
    const PANIC: Refused = Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        cause: "panic",
        sentence: "The server made a mistake answering this request.\n",
    };

    fn response(self, client: IpAddr) -> Response<Body> {
        REFUSED.turn_away(self.cause, &client, &self.sentence.trim_end(), Instant::now().into_std());
        let mut response = Response::new(Body::from(self.sentence));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.sentence.len()));
        response
    }
}

/// A request body with an end: in bytes and in time.
struct Bounded {
    body: Incoming,
    left: u64,
    deadline: Pin<Box<Sleep>>,
    /// It may last as long as it likes, but something must come within this.
    patience: Option<Duration>,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return match self.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::TooSlow))),
                Poll::Pending => Poll::Pending,
            };
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(BodyError::Broken)?;
        let length = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(BodyError::TooLarge))),
        }
        if let Some(patience) = self.patience {
            self.deadline.as_mut().reset(Instant::now() + patience);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a request body could not be read. Always the client's fault.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the request body is larger than allowed")]
    TooLarge,
    #[error("the request body did not arrive in time")]
    TooSlow,
    #[error("the request body broke off")]
    Broken(#[source] hyper::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut all, (name, value): (axum::http::HeaderName, HeaderValue)| {
                all.append(name, value);
                all
            },
        )
    }

    #[test]
    fn exactly_one_host_is_taken() {
        let check = |version, uri: &str, hosts: &[&str], sound| {
            let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let found = is_host_sound(version, &uri.parse().unwrap(), &headers(&lines));
            assert_eq!(found, sound, "{version:?} {uri} {hosts:?}");
        };
        for good in ["live.example:8080", "[::1]:8080", ""] {
            check(Version::HTTP_11, "/", &[good], true);
        }
        for bad in [&[][..], &["a", "a"], &["a b"], &["a/b"], &["a@b"]] {
            check(Version::HTTP_11, "/", bad, false);
        }
        check(Version::HTTP_10, "/", &[], true);
        check(Version::HTTP_10, "/", &["a", "b"], false);
        check(Version::HTTP_2, "http://a/", &[], true);
        check(Version::HTTP_2, "http://a/", &["A"], true);
        check(Version::HTTP_2, "/", &["a"], true);
        check(Version::HTTP_2, "http://a/", &["b"], false);
        check(Version::HTTP_2, "http://a/", &["a", "a"], false);
        check(Version::HTTP_2, "/", &[], false);
    }

    #[test]
    fn the_viewer_behind_trusted_proxies_is_found() {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let limits = Limits { trusted_proxies, ..Limits::default() };
        let check = |socket: &str, forwarded: &[&str], want: &str| {
            let lines: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let found = client(socket.parse().unwrap(), &headers(&lines), &limits);
            assert_eq!(found, want.parse::<IpAddr>().unwrap(), "{socket} {forwarded:?}");
        };
        check("203.0.113.5", &["198.51.100.1"], "203.0.113.5");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, nonsense"], "10.0.0.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1:4711"], "198.51.100.1");
        check("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1");
    }
}
