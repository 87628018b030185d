//! Who may watch a stream: the one judgement, asked wherever a viewer can get anything of it (media, rewind, the public API, oEmbed,
//! players over RTMP, replays), and the tickets that open what not everybody may see, recordings among it.
//!
//! A public or unlisted stream is open to who names it. A private one is open to who shows a ticket that was made for it, that has not
//! expired, and whose key is the current one or the one before. Each request is judged by itself, when it comes: nothing is
//! remembered of who was let in. It asks no database and waits for nothing.

use metrics::counter;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{
    ApiToken, Error, PlaybackKeys, PlaybackRefusal, PlaybackScope, Store, Visibility, now_ms, playback_expiry_ms,
};

/// See the module.
pub struct BoxOffice {
    store: Store,
    token: ApiToken,
    /// Followed by [`BoxOffice::refresh`]. Held for a signature, never across an await.
    keys: Mutex<PlaybackKeys>,
}

/// Why somebody may not watch. Whoever shows no ticket hears of a stream that is private what is heard of one that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There is no such stream, or it is private and no ticket was shown.
    Closed,
    /// The ticket is no good; whether the stream is private, or there, is not told by it.
    Ticket(PlaybackRefusal),
}

impl Denied {
    /// A bounded label for counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "no_ticket",
            Self::Ticket(PlaybackRefusal::Malformed) => "malformed",
            Self::Ticket(PlaybackRefusal::UnknownKey) => "unknown_key",
            Self::Ticket(PlaybackRefusal::Wrong) => "wrong",
            Self::Ticket(PlaybackRefusal::Expired) => "expired",
        }
    }
}

impl BoxOffice {
    /// # Errors
    /// When the database did not answer.
    pub async fn open(store: Store, token: ApiToken) -> Result<Self, Error> {
        let keys = Mutex::new(store.playback_keys(&token).await?);
        Ok(Self { store, token, keys })
    }

    /// Takes the keys as they are now; others may have rotated them. To be called after each [`Store::changes`].
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn refresh(&self) -> Result<(), Error> {
        let read = self.store.playback_keys(&self.token).await?;
        let mut keys = self.keys();
        // One that was read before a rotation may come after it.
        if read.number() >= keys.number() {
            *keys = read;
        }
        Ok(())
    }

    /// Whether somebody may watch a stream now who shows this ticket, or none. Whether it is live is another question.
    pub fn may_watch(&self, stream: &str, ticket: Option<&str>) -> bool {
        self.judge(stream, ticket).is_ok()
    }

    /// The same, with the reason why not.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, stream: &str, ticket: Option<&str>) -> Result<(), Denied> {
        if self.is_open(stream) {
            return Ok(());
        }
        let judged = match ticket {
            None => Err(Denied::Closed),
            Some(ticket) => self.keys().verify(ticket, PlaybackScope::Live(stream), now_ms()).map_err(Denied::Ticket),
        };
        // Also of what is not there, or who reads the counters could find out what is.
        if let Err(denied) = judged {
            counter!("weir_viewers_denied_total", "reason" => denied.label()).increment(1);
        }
        // A ticket outlives the stream it is for.
        judged.and(self.store.visibility(stream).map(|_| ()).ok_or(Denied::Closed))
    }

    /// Whether everybody may watch a stream who knows its name. Nothing is counted: nobody was turned away by that.
    pub fn is_open(&self, stream: &str) -> bool {
        matches!(self.store.visibility(stream), Some(Visibility::Public | Visibility::Unlisted))
    }

    /// Whether a stream stands in lists that everybody sees.
    pub fn lists(&self, stream: &str) -> bool {
        self.store.visibility(stream) == Some(Visibility::Public)
    }

    /// Whether a stream takes a ticket to watch.
    pub fn is_private(&self, stream: &str) -> bool {
        self.store.visibility(stream) == Some(Visibility::Private)
    }

    /// A ticket that opens a stream, and until when it lasts; see [`BoxOffice::recording_ticket`].
    pub fn stream_ticket(&self, stream: &str, lasts: Duration) -> (String, i64) {
        self.sign(PlaybackScope::Live(stream), lasts)
    }

    /// A ticket to a recording, and until when it lasts, milliseconds since 1970. Whoever asks again soon gets the same one, so that
    /// pages and caches keep what they have: it lasts up to a sixth less.
    pub fn recording_ticket(&self, recording: &str, lasts: Duration) -> (String, i64) {
        self.sign(PlaybackScope::Vod(recording), lasts)
    }

    /// Whether a ticket opens a recording now.
    pub fn opens_recording(&self, recording: &str, ticket: &str) -> bool {
        self.keys().verify(ticket, PlaybackScope::Vod(recording), now_ms()).is_ok()
    }

    /// Whether a ticket opens a stream now, be that private or not.
    pub fn opens_stream(&self, stream: &str, ticket: &str) -> bool {
        self.keys().verify(ticket, PlaybackScope::Live(stream), now_ms()).is_ok()
    }

    /// How long a ticket lasts from now on by its own word; nothing is checked.
    pub fn lasts(&self, ticket: &str) -> Duration {
        let left_ms = playback_expiry_ms(ticket).map_or(0, |expires_ms| expires_ms.saturating_sub(now_ms()));
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    fn sign(&self, scope: PlaybackScope<'_>, lasts: Duration) -> (String, i64) {
        let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let step_ms = (lasts_ms / 6).max(1);
        let expires_ms = now_ms().saturating_add(lasts_ms) / step_ms * step_ms;
        (self.keys().sign(scope, expires_ms), expires_ms)
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn keys(&self) -> MutexGuard<'_, PlaybackKeys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Act, Actor, Location, StreamPatch, StreamSettings};

    const LONG: Duration = Duration::from_secs(600);

    async fn open() -> (BoxOffice, Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::in_dir(dir.path())).await.unwrap();
        let add = Act::AddStream { name: "show".into(), settings: StreamSettings::default() };
        store.perform(&Actor::Cli, &add, now_ms()).await.unwrap();
        let office = BoxOffice::open(store.clone(), ApiToken::generate().unwrap()).await.unwrap();
        (office, store, dir)
    }

    async fn set(store: &Store, visibility: Visibility) {
        let patch = StreamPatch { visibility: Some(visibility), ..StreamPatch::default() };
        store.perform(&Actor::Cli, &Act::SetStream { name: "show".into(), patch }, now_ms()).await.unwrap();
    }

    #[tokio::test]
    async fn a_ticket_counts_for_its_own_stream_and_only_where_one_is_needed() {
        let (office, store, _dir) = open().await;
        let (ticket, _) = office.stream_ticket("show", LONG);
        let (recording, _) = office.recording_ticket("show", LONG);
        let (old, expires_ms) = office.stream_ticket("show", Duration::ZERO);
        assert!(expires_ms <= now_ms());
        for (visibility, open, listed) in
            [(Visibility::Public, true, true), (Visibility::Unlisted, true, false), (Visibility::Private, false, false)]
        {
            set(&store, visibility).await;
            let without = [None, Some("nonsense"), Some(&*recording), Some(&*old)];
            assert_eq!(without.map(|ticket| office.may_watch("show", ticket)), [open; 4], "{visibility:?}");
            assert!(office.may_watch("show", Some(&ticket)), "{visibility:?}: a link that was given out stays good");
            assert_eq!((office.lists("show"), office.is_private("show")), (listed, !open));
        }
        assert_eq!(office.judge("show", None), Err(Denied::Closed));
        assert_eq!(office.judge("show", Some(&old)), Err(Denied::Ticket(PlaybackRefusal::Expired)));
        assert_eq!(office.judge("show", Some(&recording)), Err(Denied::Ticket(PlaybackRefusal::Wrong)));
        let longest = office.lasts(&ticket);
        assert!(longest <= LONG && longest > LONG * 4 / 5, "{longest:?}");
        assert_eq!((office.lasts(&old), office.lasts("nonsense")), (Duration::ZERO, Duration::ZERO));
    }

    #[tokio::test]
    async fn what_is_no_stream_is_open_to_nobody() {
        let (office, store, _dir) = open().await;
        for name in ["other", "", "show~rehearsal", "SHOW"] {
            let (ticket, _) = office.stream_ticket(name, LONG);
            assert_eq!([None, Some(&*ticket)].map(|ticket| office.may_watch(name, ticket)), [false; 2], "{name}");
        }
        let (ticket, _) = office.stream_ticket("show", LONG);
        store.perform(&Actor::Cli, &Act::RemoveStream { name: "show".into() }, now_ms()).await.unwrap();
        assert_eq!([None, Some(&*ticket)].map(|ticket| office.may_watch("show", ticket)), [false; 2]);
    }

    #[tokio::test]
    async fn a_second_rotation_strikes_every_ticket_of_the_first_key() {
        let (office, store, _dir) = open().await;
        set(&store, Visibility::Private).await;
        let (ticket, _) = office.stream_ticket("show", LONG);
        for opens in [true, false] {
            store.rotate_playback_keys(&Actor::Cli, &office.token, now_ms()).await.unwrap();
            office.refresh().await.unwrap();
            assert_eq!(office.may_watch("show", Some(&ticket)), opens);
        }
        assert_eq!(office.judge("show", Some(&ticket)), Err(Denied::Ticket(PlaybackRefusal::UnknownKey)));
    }
}
