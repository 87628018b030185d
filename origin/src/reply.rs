//! Answers: status, headers and body, built in one place so that every one carries the headers players and CDNs need.

use crate::cache::Keep;
use crate::encoding::Coding;
use crate::parts::Parts;
use crate::range::Slice;
use crate::vod::Stored;
use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL,
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use packager::{Document, Segment};
use std::fmt::Write;
use std::time::Duration;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TIMING: HeaderName = HeaderName::from_static("timing-allow-origin");

const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
/// Players measure throughput and clock offset with these.
const EXPOSED: HeaderValue = HeaderValue::from_static("Accept-Ranges, Age, Content-Length, Content-Range, Date, ETag");
const ALLOWED: HeaderValue = HeaderValue::from_static("Range, If-None-Match, If-Range, Cache-Control, Content-Type");
/// Playlists below this many bytes are not packed: they fit one packet as they are.
const PACK_BYTES_MIN: usize = 256;
/// More headers than any answer here has, so that the map never grows.
const HEADERS: usize = 16;

/// What a request says about the form of its answer. Owns its few values, since it may have to wait.
#[derive(Debug)]
pub(crate) struct Wish {
    head: bool,
    coding: Coding,
    known: Option<HeaderValue>,
    range: Option<HeaderValue>,
    unless: Option<HeaderValue>,
    /// Nobody may keep the answer for longer.
    left: Option<Duration>,
}

impl Wish {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Wish {
        let range = headers.get(RANGE);
        Wish {
            head: method == Method::HEAD,
            coding: headers
                .get(ACCEPT_ENCODING)
                .map_or(Coding::Identity, |accept| Coding::negotiate(accept.as_bytes())),
            known: headers.get(IF_NONE_MATCH).cloned(),
            unless: range.and_then(|_| headers.get(IF_RANGE).cloned()),
            range: range.cloned(),
            left: None,
        }
    }

    /// The same of an answer that nobody may keep for longer than this.
    pub(crate) fn within(self, left: Option<Duration>) -> Wish {
        Wish { left, ..self }
    }

    pub(crate) fn head(&self) -> bool {
        self.head
    }

    fn knows(&self, etag: &str) -> bool {
        let Some(known) = self.known.as_ref().and_then(|known| known.to_str().ok()) else { return false };
        known.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }

    fn slice(&self, etag: &str, length: usize) -> Slice {
        match (&self.range, &self.unless) {
            (Some(_), Some(unless)) if unless.as_bytes() != etag.as_bytes() => Slice::Whole,
            (Some(range), _) => Slice::parse(range.as_bytes(), length),
            (None, _) => Slice::Whole,
        }
    }
}

/// An answer and the number of body bytes promised in it.
pub(crate) struct Reply {
    pub(crate) response: Response<Body>,
    pub(crate) bytes: u64,
}

/// A playlist, packed as the client likes it.
pub(crate) fn playlist(wish: &Wish, document: &Document, keep: Keep) -> Reply {
    let packs = document.text().len() >= PACK_BYTES_MIN;
    let (body, coding, suffix) = match wish.coding {
        Coding::Brotli if packs => (document.br(), Some("br"), "-br\""),
        Coding::Gzip if packs => (document.gzip(), Some("gzip"), "-gz\""),
        _ => (document.text().clone(), None, "\""),
    };
    // A strong validator names the exact bytes, so each packed form has its own.
    let mut etag = String::with_capacity(document.etag().len() + suffix.len());
    etag.push_str(document.etag().trim_end_matches('"'));
    etag.push_str(suffix);
    let mut headers = headers(keep, wish.left);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if wish.knows(&etag) {
        return unchanged(headers, &etag);
    }
    headers.insert(CONTENT_TYPE, PLAYLIST);
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    insert_etag(&mut headers, &etag);
    whole(wish, headers, body)
}

/// Immutable bytes in one piece: an init section, a part, a TS segment. `name` tells the object from its neighbours.
pub(crate) fn media(wish: &Wish, bytes: Bytes, kind: &'static str, name: (u64, u32)) -> Reply {
    let length = bytes.len();
    object(wish, length, kind, name, |first, last| Body::from(bytes.slice(first..=last)))
}

/// A segment, sent as the very parts it was served in before.
pub(crate) fn segment(wish: &Wish, segment: &Segment, kind: &'static str) -> Reply {
    let parts = &segment.parts;
    object(wish, segment.len(), kind, (segment.msn, 0), |first, last| Body::new(Parts::new(parts.clone(), first, last)))
}

/// Immutable bytes that lie in files.
pub(crate) fn stored(wish: &Wish, stored: Stored, kind: &'static str, name: (u64, u32)) -> Reply {
    let Ok(length) = usize::try_from(stored.size_bytes()) else {
        return refusal(
            wish.head,
            StatusCode::SERVICE_UNAVAILABLE,
            Keep::Refusal,
            "This is too large for this machine.",
        );
    };
    object(wish, length, kind, name, |first, last| stored.body(first as u64, last as u64))
}

/// A file that a viewer keeps under a name, which is sent as RFC 6266 and RFC 5987 have it.
pub(crate) fn download(wish: &Wish, stored: Stored, tag: u64, name: &str) -> Reply {
    let mut reply = self::stored(wish, stored, "video/mp4", (tag, 0));
    let plain: String =
        name.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\') || *c == ' ').collect();
    let mut exact = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => exact.push(char::from(byte)),
            _ => exact.push_str(&format!("%{byte:02X}")),
        }
    }
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    let disposition = HeaderValue::try_from(disposition).expect("visible ASCII and blanks");
    reply.response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    reply
}

/// The thumbnail. It has no validator: it is remade faster than anyone revalidates.
pub(crate) fn thumb(wish: &Wish, jpeg: Bytes) -> Reply {
    let mut headers = headers(Keep::Thumb, wish.left);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    whole(wish, headers, jpeg)
}

/// Which picture shows which time.
pub(crate) fn storyboard(wish: &Wish, text: Bytes, keep: Keep) -> Reply {
    let mut headers = headers(keep, wish.left);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/vtt; charset=utf-8"));
    whole(wish, headers, text)
}

/// A refusal with one plain sentence.
pub(crate) fn refusal(head: bool, status: StatusCode, keep: Keep, sentence: &str) -> Reply {
    let mut headers = headers(keep, None);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, METHODS);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(sentence.len() + 1));
    let body = if head { Body::empty() } else { Body::from(format!("{sentence}\n")) };
    finish(status, headers, body, 0)
}

/// The answer to OPTIONS, which for a browser is a CORS preflight.
pub(crate) fn preflight() -> Reply {
    let mut headers = headers(Keep::Preflight, None);
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    finish(StatusCode::NO_CONTENT, headers, Body::empty(), 0)
}

fn object(
    wish: &Wish,
    length: usize,
    kind: &'static str,
    name: (u64, u32),
    body: impl FnOnce(usize, usize) -> Body,
) -> Reply {
    let etag = etag(length, name);
    let mut headers = headers(Keep::Media, wish.left);
    if wish.knows(&etag) {
        return unchanged(headers, &etag);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert_etag(&mut headers, &etag);
    if length == 0 {
        return whole(wish, headers, Bytes::new());
    }
    let (status, first, last) = match wish.slice(&etag, length) {
        Slice::Whole => (StatusCode::OK, 0, length - 1),
        Slice::Bytes { first, last } => {
            let range =
                HeaderValue::try_from(format!("bytes {first}-{last}/{length}")).expect("digits and punctuation");
            headers.insert(CONTENT_RANGE, range);
            (StatusCode::PARTIAL_CONTENT, first, last)
        }
        Slice::Unsatisfiable => {
            let mut reply = refusal(
                wish.head,
                StatusCode::RANGE_NOT_SATISFIABLE,
                Keep::Refusal,
                "The range begins behind the end.",
            );
            let range = HeaderValue::try_from(format!("bytes */{length}")).expect("digits and punctuation");
            reply.response.headers_mut().insert(CONTENT_RANGE, range);
            return reply;
        }
    };
    let size = last - first + 1;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    match wish.head {
        true => finish(status, headers, Body::empty(), 0),
        false => finish(status, headers, body(first, last), size as u64),
    }
}

/// The headers every answer has.
fn headers(keep: Keep, left: Option<Duration>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CACHE_CONTROL, keep.control(left));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(TIMING, ANY);
    headers
}

/// The validator of an immutable object. Its URL alone fixes the bytes, so this only has to differ where a proxy mixes
/// URLs up; the length guards against a truncated copy.
fn etag(length: usize, name: (u64, u32)) -> String {
    let mut etag = String::with_capacity(48);
    write!(etag, "\"{}.{}-{length:x}\"", name.0, name.1).expect("a String takes any text");
    etag
}

fn insert_etag(headers: &mut HeaderMap, etag: &str) {
    headers.insert(ETAG, HeaderValue::from_str(etag).expect("quotes, digits, dots and dashes"));
}

fn unchanged(mut headers: HeaderMap, etag: &str) -> Reply {
    insert_etag(&mut headers, etag);
    finish(StatusCode::NOT_MODIFIED, headers, Body::empty(), 0)
}

fn whole(wish: &Wish, mut headers: HeaderMap, body: Bytes) -> Reply {
    let size = body.len();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    match wish.head {
        true => finish(StatusCode::OK, headers, Body::empty(), 0),
        false => finish(StatusCode::OK, headers, Body::from(body), size as u64),
    }
}

fn finish(status: StatusCode, headers: HeaderMap, body: Body, bytes: u64) -> Reply {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Reply { response, bytes }
}
