//! How many watch: distinct players that asked for a media playlist in its last three target durations. A request that is held counts
//! from the moment it came.
//!
//! A player is told from others by the session id it sends (CTA-5004 CMCD, key `sid`, as header or query), else by its address and
//! what it calls itself. Both are hashed with a key that lives as long as this process; nothing else is kept of anyone. Players that
//! send no id and share an address and a name count as one, and whoever is behind a cache that answers for us is not seen.

use crate::Peer;
use axum::http::header::USER_AGENT;
use axum::http::{Extensions, HeaderMap, Request};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Players remembered at a time, of all streams; more are counted as refused and not as viewers.
const PLAYERS_MAX: usize = 200_000;
/// A session id is a UUID; longer ones are cut.
const ID_MAX: usize = 64;
/// The target durations a player counts for after its last request.
const TARGETS: u32 = 3;
/// How often those that left are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Counts players by stream. Its lock is held for a look into a map.
#[derive(Debug, Default)]
pub struct Audience {
    salt: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Until when each player of a stream counts.
    streams: HashMap<String, HashMap<u64, Instant>>,
    players: usize,
    forgot: Option<Instant>,
}

impl Audience {
    /// A player asked for a media playlist whose target duration this is.
    pub fn asked<B>(&self, stream: &str, request: &Request<B>, target: Duration, now: Instant) {
        let player = self.player(request.headers(), request.uri().query(), request.extensions());
        let until = now + TARGETS * target;
        let mut seen = self.seen();
        seen.forget(now);
        if let Some(known) = seen.streams.get_mut(stream).and_then(|players| players.get_mut(&player)) {
            *known = until;
            return;
        }
        if seen.players >= PLAYERS_MAX {
            drop(seen);
            metrics::counter!("weir_audience_uncounted_total").increment(1);
            return;
        }
        seen.streams.entry(stream.to_owned()).or_default().insert(player, until);
        seen.players += 1;
    }

    /// How many watch a stream now.
    pub fn of(&self, stream: &str, now: Instant) -> u64 {
        let seen = self.seen();
        let players = seen.streams.get(stream);
        players.map_or(0, |players| players.values().filter(|until| **until > now).count() as u64)
    }

    /// How many watch anything now.
    pub fn all(&self, now: Instant) -> u64 {
        let seen = self.seen();
        seen.streams.values().flat_map(HashMap::values).filter(|until| **until > now).count() as u64
    }

    fn player(&self, headers: &HeaderMap, query: Option<&str>, extensions: &Extensions) -> u64 {
        let given = headers.get("cmcd-session").and_then(|value| session_id(value.to_str().ok()?));
        if let Some(id) = given.or_else(|| query.and_then(query_id)) {
            return self.salt.hash_one(("id", id));
        }
        let address = extensions.get::<Peer>().map(|peer| peer.client);
        self.salt.hash_one(("address", address, headers.get(USER_AGENT).map(|name| name.as_bytes())))
    }

    /// A sum can't be half done for long, so poison is ignored.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget(&mut self, now: Instant) {
        if self.forgot.is_some_and(|at| now.saturating_duration_since(at) < FORGET_EVERY) {
            return;
        }
        self.forgot = Some(now);
        self.streams.retain(|_, players| {
            players.retain(|_, until| *until > now);
            !players.is_empty()
        });
        self.players = self.streams.values().map(HashMap::len).sum();
    }
}

/// The value of `sid="…"` among CMCD's keys.
fn session_id(keys: &str) -> Option<&str> {
    let value = keys.split(',').find_map(|pair| pair.trim().strip_prefix("sid="))?;
    let id = value.trim_matches('"');
    (!id.is_empty()).then(|| id.get(..ID_MAX).unwrap_or(id))
}

/// The same in `CMCD=` of a query. Of what percent encoding does, quotes and commas are all that counts here.
fn query_id(query: &str) -> Option<&str> {
    let keys = query.split('&').find_map(|pair| pair.strip_prefix("CMCD="))?;
    let from = keys.find("sid%3D").or_else(|| keys.find("sid%3d"))? + "sid%3D".len();
    let id = keys[from..].trim_start_matches("%22");
    let id = &id[..id.find('%').unwrap_or(id.len())];
    (!id.is_empty()).then(|| id.get(..ID_MAX).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGET: Duration = Duration::from_secs(2);

    fn request(address: &str, agent: &str, session: Option<&str>) -> Request<()> {
        let socket = std::net::SocketAddr::new(address.parse().unwrap(), 1);
        let mut request = Request::get("/live/show/s/source.m3u8").header(USER_AGENT, agent);
        if let Some(id) = session {
            request = request.header("cmcd-session", format!("sf=h,sid=\"{id}\",st=l"));
        }
        let peer = Peer { socket, client: socket.ip(), tls: false };
        request.extension(peer).body(()).unwrap()
    }

    #[test]
    fn a_player_counts_once_and_for_three_target_durations() {
        let (audience, start) = (Audience::default(), Instant::now());
        for n in 0..10 {
            audience.asked("show", &request("10.0.0.1", "vlc", None), TARGET, start + n * TARGET / 4);
        }
        let last = start + 9 * TARGET / 4;
        assert_eq!(audience.of("show", last + 3 * TARGET - Duration::from_millis(1)), 1);
        assert_eq!(audience.of("show", last + 3 * TARGET), 0);
        assert_eq!(audience.of("other", last), 0);
    }

    #[test]
    fn players_of_one_address_are_told_apart_by_name_or_session_id() {
        let (audience, now) = (Audience::default(), Instant::now());
        for (address, agent, id) in [
            ("10.0.0.1", "vlc", None),
            ("10.0.0.1", "mpv", None),
            ("10.0.0.2", "vlc", None),
            ("10.0.0.1", "firefox", Some("a")),
            ("10.0.0.1", "firefox", Some("b")),
            // A phone that changed its network.
            ("10.9.9.9", "firefox", Some("b")),
        ] {
            audience.asked("show", &request(address, agent, id), TARGET, now);
        }
        assert_eq!((audience.of("show", now), audience.all(now)), (5, 5));
    }

    #[test]
    fn a_session_id_in_the_query_is_the_same_as_in_the_header() {
        let (audience, now) = (Audience::default(), Instant::now());
        audience.asked("show", &request("10.0.0.1", "a", Some("6e2fb550-c457")), TARGET, now);
        let query = "/live/show/s/source.m3u8?_HLS_msn=4&CMCD=ot%3Dm%2Csid%3D%226e2fb550-c457%22%2Cst%3Dl";
        audience.asked("show", &Request::get(query).body(()).unwrap(), TARGET, now);
        assert_eq!(audience.of("show", now), 1);
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let (audience, start) = (Audience::default(), Instant::now());
        for n in 0..100 {
            audience.asked("show", &request("10.0.0.1", &n.to_string(), None), TARGET, start);
        }
        audience.asked("other", &request("10.0.0.1", "x", None), TARGET, start + Duration::from_secs(20));
        assert_eq!(audience.seen().players, 1);
        assert_eq!(audience.seen().streams.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_has_an_id_or_none(text in "\\PC{0,100}") {
            for id in [session_id(&text), query_id(&text)].into_iter().flatten() {
                prop_assert!(!id.is_empty() && id.len() <= text.len());
            }
        }
    }
}
