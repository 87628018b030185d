//! What every request passes before the router: the checks that hold for all of them.

use crate::activity::{Activity, Reported};
use crate::limits::Limits;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Sleep, sleep};
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
    pub(crate) socket: SocketAddr,
    pub(crate) tls: bool,
}

impl Front {
    /// Answers one request. A handler that panics costs this request only: 500, counted.
    pub(crate) async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Reported>, Infallible> {
        let in_flight = self.activity.begin();
        let http2 = request.version() == Version::HTTP_2;
        let response = match self.checked(request) {
            Err(refusal) => refusal.response(),
            Ok(request) => match AssertUnwindSafe(self.router.call(request)).catch_unwind().await {
                Ok(Ok(response)) => response,
                Err(_) => Refused::PANIC.response(),
            },
        };
        Ok(response.map(|body| Reported::new(body, http2, in_flight)))
    }

    fn checked(&self, request: Request<Incoming>) -> Result<Request<Body>, Refused> {
        let headers = request.headers();
        if headers.len() > self.limits.headers_max {
            return Err(Refused::HEADERS);
        }
        if request.version() == Version::HTTP_11 && !one_host(headers) {
            return Err(Refused::HOST);
        }
        if request.method() == Method::CONNECT {
            return Err(Refused::METHOD);
        }
        if request.body().size_hint().lower() > self.limits.body_bytes_max {
            return Err(Refused::BODY);
        }
        let client = client(self.socket.ip(), headers, &self.limits);
        let peer = Peer { socket: self.socket, client, tls: self.tls };
        let mut request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Bounded {
                body,
                left: self.limits.body_bytes_max,
                deadline: Box::pin(sleep(self.limits.body_deadline)),
            }),
        });
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(ConnectInfo(self.socket));
        Ok(request)
    }
}

/// HTTP/1.1 asks for exactly one Host (RFC 9112 section 3.2); with two, a proxy in front and we could disagree.
fn one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.as_bytes().iter().all(
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
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !limits.trusts(client) {
            break;
        }
    }
    client
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
        sentence: "An HTTP/1.1 request needs exactly one valid Host header.\n",
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

    fn response(self) -> Response<Body> {
        metrics::counter!("weir_http_refused_total", "cause" => self.cause).increment(1);
        let mut response = Response::new(Body::from(self.sentence));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
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
        let check = |lines: &[(&'static str, &str)], fine| assert_eq!(one_host(&headers(lines)), fine, "{lines:?}");
        check(&[("host", "live.example:8080")], true);
        check(&[("host", "[::1]:8080")], true);
        check(&[("host", "")], true);
        check(&[], false);
        check(&[("host", "a"), ("host", "a")], false);
        check(&[("host", "a b")], false);
        check(&[("host", "a/b")], false);
        check(&[("host", "a@b")], false);
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
        check("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1");
    }
}
