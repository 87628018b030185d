//! Who may change things: the bearer token, compared in constant time, and a budget for those who guess.

use super::error::ApiError;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gatehouse::{Neighbourhood, Refusals};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::ApiToken;

/// Wrong tokens one address may send in a minute before it is told to wait.
const WRONG_PER_MINUTE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses counted at once; beyond, strangers share what is left: none.
const ADDRESSES_MAX: usize = 4_096;

/// Requests to the API that were turned away, by cause.
static REFUSED: Refusals = Refusals::new("weir_api_refused_total");

pub struct Gate {
    token: ApiToken,
    /// Held for a map access, never across an await.
    wrong: Mutex<HashMap<Neighbourhood, Wrong>>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    since: Instant,
    count: u32,
}

impl Gate {
    pub fn new(token: ApiToken) -> Self {
        Self { token, wrong: Mutex::default() }
    }

    /// The right token passes always: an operator behind the same address as a guesser is not locked out.
    fn admit(&self, presented: Option<&str>, from: IpAddr, now: Instant) -> Result<(), ApiError> {
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
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= ADDRESSES_MAX && !wrong.contains_key(&from) {
            wrong.retain(|_, w| now.duration_since(w.since) < WINDOW);
            if wrong.len() >= ADDRESSES_MAX {
                return ApiError::too_many(WINDOW.as_secs());
            }
        }
        let entry = wrong.entry(from).or_insert(Wrong { since: now, count: 0 });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Wrong { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count > WRONG_PER_MINUTE {
            let left = WINDOW.saturating_sub(now.duration_since(entry.since));
            return ApiError::too_many(left.as_secs().max(1));
        }
        ApiError::unauthorized()
    }
}

/// Who sent a request: the viewer's address as the origin worked it out behind proxies, else the socket's.
pub fn client(request: &axum::http::Extensions) -> IpAddr {
    let viewer = request.get::<origin::Peer>().map(|peer| peer.client);
    let socket = request.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    viewer.or(socket).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The layer in front of every guarded route.
pub async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match gate.admit(presented.map(|(_, token)| token.trim()), client(request.extensions()), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

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

    #[test]
    fn addresses_beyond_the_table_are_refused_and_not_counted() {
        let gate = Gate::new(ApiToken::generate().unwrap());
        let now = Instant::now();
        for n in 0..=ADDRESSES_MAX as u32 {
            let _ = gate.admit(Some("wt_guess"), IpAddr::V4(Ipv4Addr::from_bits(n)), now);
        }
        assert_eq!(gate.wrong.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
