//! Who may change things: the bearer token, compared in constant time, or a browser that was signed in with it; and a budget for
//! those who guess.
//!
//! A browser sends its cookie whoever's page made the request, so what changes something must say that it comes from our own.

use super::Api;
use super::error::ApiError;
use crate::site::host;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE as COOKIES, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gatehouse::{Neighbourhood, Refusals};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::{ApiToken, Store, now_ms};

/// Wrong tokens one address may send in a minute before it is told to wait.
const WRONG_PER_MINUTE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses counted at once; beyond, strangers share what is left: none.
const ADDRESSES_MAX: usize = 4_096;

/// Cookies that are no good one address may send in a minute before they are not even looked up: a page whose sign-in is over asks
/// for several things at once.
const UNKNOWN_PER_MINUTE: u32 = 60;
/// A browser that was found signed in is not looked up again for so long, nor locked out by its neighbours.
const KNOWN_FOR: Duration = Duration::from_secs(3);
const KNOWN_MAX: usize = 1_000;

/// Requests to the API that were turned away, by cause.
static REFUSED: Refusals = Refusals::new("weir_api_refused_total");

pub struct Gate {
    token: ApiToken,
    /// Wrong tokens.
    wrong: Guesses,
    /// Cookies that are no good.
    unknown: Guesses,
    /// Browsers that were found signed in, and when. Held for a map access, never across an await.
    known: Mutex<HashMap<String, Instant>>,
}

/// Counts guesses by address; each has so many a minute.
struct Guesses {
    most: u32,
    /// Held for a map access, never across an await.
    seen: Mutex<HashMap<Neighbourhood, Wrong>>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    since: Instant,
    count: u32,
}

impl Gate {
    pub fn new(token: ApiToken) -> Self {
        let guesses = |most| Guesses { most, seen: Mutex::default() };
        let (wrong, unknown) = (guesses(WRONG_PER_MINUTE), guesses(UNKNOWN_PER_MINUTE));
        Self { token, wrong, unknown, known: Mutex::default() }
    }

    pub fn token(&self) -> &ApiToken {
        &self.token
    }

    /// The right token passes always: an operator behind the same address as a guesser is not locked out.
    pub fn admit(&self, presented: Option<&str>, from: IpAddr, now: Instant) -> Result<(), ApiError> {
        match presented {
            Some(token) if self.token.matches(token) => Ok(()),
            // Asking without a token is a question, not a guess.
            None => Err(ApiError::unauthorized()),
            Some(_) => {
                REFUSED.turn_away("token", &from, &"it sent a wrong API token", now);
                Err(self.refuse(from.into(), now))
            }
        }
    }

    fn refuse(&self, from: Neighbourhood, now: Instant) -> ApiError {
        match self.wrong.count(from, now) {
            Ok(()) => ApiError::unauthorized(),
            Err(left) => ApiError::too_many(left.as_secs().max(1)),
        }
    }

    /// Whether the browser that shows `secret` is signed in. What is invented costs its address a budget, and then no query.
    pub async fn is_signed_in(
        &self,
        store: &Store,
        secret: &str,
        from: IpAddr,
        now: Instant,
    ) -> Result<bool, ApiError> {
        let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < KNOWN_FOR;
        if lock(&self.known).get(secret).is_some_and(is_fresh) {
            return Ok(true);
        }
        if let Some(left) = self.unknown.spent(from.into(), now) {
            REFUSED.turn_away("cookie", &from, &"it sent too many cookies that are no good", now);
            return Err(ApiError::too_many(left.as_secs().max(1)));
        }
        if store.is_signed_in(secret, &self.token, now_ms()).await? {
            let mut known = lock(&self.known);
            known.retain(|_, at| is_fresh(at));
            if known.len() < KNOWN_MAX {
                known.insert(secret.to_owned(), now);
            }
            return Ok(true);
        }
        let _over = self.unknown.count(from.into(), now);
        Ok(false)
    }

    /// A browser was signed out.
    pub fn forget(&self, secret: &str) {
        lock(&self.known).remove(secret);
    }
}

impl Guesses {
    /// Counts one more of an address; how long it has to wait when there were too many, or when there is no room to count.
    fn count(&self, from: Neighbourhood, now: Instant) -> Result<(), Duration> {
        let mut seen = lock(&self.seen);
        if seen.len() >= ADDRESSES_MAX && !seen.contains_key(&from) {
            seen.retain(|_, w| now.duration_since(w.since) < WINDOW);
            if seen.len() >= ADDRESSES_MAX {
                return Err(WINDOW);
            }
        }
        let entry = seen.entry(from).or_insert(Wrong { since: now, count: 0 });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Wrong { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count > self.most { Err(WINDOW.saturating_sub(now.duration_since(entry.since))) } else { Ok(()) }
    }

    /// How long an address has to wait that has used its budget up.
    fn spent(&self, from: Neighbourhood, now: Instant) -> Option<Duration> {
        let entry = *lock(&self.seen).get(&from)?;
        WINDOW.checked_sub(now.duration_since(entry.since)).filter(|_| entry.count >= self.most)
    }
}

/// A panic can't leave these short sections half done, so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who sent a request: the viewer's address as the origin worked it out behind proxies, else the socket's.
pub fn client(request: &axum::http::Extensions) -> IpAddr {
    let viewer = request.get::<origin::Peer>().map(|peer| peer.client);
    let socket = request.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    viewer.or(socket).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// How a request was let in; handlers find it in the request's extensions.
#[derive(Debug, Clone)]
pub enum Pass {
    /// By the operator's token.
    Token,
    /// As a browser that was signed in, with what it shows.
    Browser(String),
    /// By the token of the stream's dock.
    Dock,
}

/// Name of the cookie of a browser that was signed in.
pub const COOKIE: &str = "__Host-weir";

/// The layer in front of every route of the operator's.
pub async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let request = match own(&api, request).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    next.run(request).await
}

/// The layer in front of what a stream's dock may read too.
pub async fn check_reader(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    // Scene switchers can send no header, so this token may stand in the query; the operator's may not.
    let asked = request.uri().query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("token=")));
    let is_dock = bearer(request.headers())
        .or(asked)
        .zip(stream_of(request.uri().path()))
        .is_some_and(|(token, stream)| api.gate.token.dock_matches(stream, token));
    if is_dock {
        let mut request = request;
        request.extensions_mut().insert(Pass::Dock);
        return next.run(request).await;
    }
    check(State(api), request, next).await
}

/// The request, when it is the operator's.
async fn own(api: &Api, mut request: Request) -> Result<Request, ApiError> {
    let (headers, from, now) = (request.headers(), client(request.extensions()), Instant::now());
    let presented = bearer(headers);
    let Some(secret) = cookie(headers).filter(|_| presented.is_none()).map(str::to_owned) else {
        api.gate.admit(presented, from, now)?;
        request.extensions_mut().insert(Pass::Token);
        return Ok(request);
    };
    if !request.method().is_safe() && !is_same_site(request.uri(), headers) {
        REFUSED.turn_away("cross_site", &from, &"another site's page asked for a change", now);
        return Err(ApiError::cross_site());
    }
    match api.gate.is_signed_in(&api.store, &secret, from, now).await? {
        true => {
            request.extensions_mut().insert(Pass::Browser(secret));
            Ok(request)
        }
        false => Err(ApiError::unauthorized()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, token) = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))?;
    Some(token.trim())
}

/// What the browser shows for its sign-in.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIES).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether the page that made the request is our own, as the browser tells: by `Sec-Fetch-Site`, or by `Origin` where it is older.
pub fn is_same_site(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let page = origin.and_then(|origin| origin.split_once("://")).map(|(_, page)| page.to_ascii_lowercase());
    page.is_some() && page == host(uri, headers)
}

/// The name in `/api/v1/streams/NAME/…`.
fn stream_of(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v1/streams/")?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, StatusCode};

    #[test]
    fn guessers_are_slowed_and_the_operator_is_not() {
        let token = ApiToken::generate().unwrap();
        let gate = Gate::new(token.clone());
        let (from, now) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Instant::now());
        let guess = |now| gate.admit(Some("wt_guess"), from, now).unwrap_err().into_response().status();
        for _ in 0..WRONG_PER_MINUTE {
            assert_eq!(guess(now), StatusCode::UNAUTHORIZED);
        }
        assert_eq!(guess(now), StatusCode::TOO_MANY_REQUESTS);
        assert!(gate.admit(Some(token.reveal()), from, now).is_ok());
        assert_eq!(guess(now + WINDOW), StatusCode::UNAUTHORIZED);
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(cookie(&headers(&[("cookie", "a=1; __Host-weir=ws_x; b=2")])), Some("ws_x"));
        for other in ["", "__Host-weirdo=1", "x__Host-weir=1", "weir=1"] {
            assert_eq!(cookie(&headers(&[("cookie", other)])), None, "{other}");
        }
    }

    #[test]
    fn only_our_own_pages_may_ask_for_changes() {
        let may = |pairs: &[(&'static str, &str)]| is_same_site(&Uri::from_static("/api/v1/streams"), &headers(pairs));
        assert!(may(&[("sec-fetch-site", "same-origin"), ("host", "weir.example")]));
        assert!(may(&[("origin", "https://weir.example:8443"), ("host", "Weir.example:8443")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!may(&[("sec-fetch-site", site), ("origin", "https://weir.example"), ("host", "weir.example")]));
        }
        assert!(!may(&[("origin", "https://evil.example"), ("host", "weir.example")]));
        assert!(!may(&[("origin", "null"), ("host", "weir.example")]));
        assert!(!may(&[("host", "weir.example")]));
        assert!(!may(&[("origin", "https://weir.example")]));
    }

    #[test]
    fn addresses_beyond_the_table_are_refused_and_not_counted() {
        let gate = Gate::new(ApiToken::generate().unwrap());
        let now = Instant::now();
        for n in 0..=ADDRESSES_MAX as u32 {
            let _ = gate.admit(Some("wt_guess"), IpAddr::V4(Ipv4Addr::from_bits(n)), now);
        }
        assert_eq!(gate.wrong.seen.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
