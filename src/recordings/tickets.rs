use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{ApiToken, Error, PlaybackKeys, PlaybackScope, Store, now_ms};

/// Opens private recordings to who shows a ticket in the path. The keys are followed by [`Tickets::refresh`].
pub struct Tickets {
    token: ApiToken,
    /// Held for a signature.
    keys: Mutex<PlaybackKeys>,
}

impl Tickets {
    /// # Errors
    /// When the database did not answer.
    pub async fn read(store: &Store, token: ApiToken) -> Result<Self, Error> {
        let keys = Mutex::new(store.playback_keys(&token).await?);
        Ok(Self { token, keys })
    }

    /// Takes the keys as they are now; others may have rotated them.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn refresh(&self, store: &Store) -> Result<(), Error> {
        let keys = store.playback_keys(&self.token).await?;
        *self.keys() = keys;
        Ok(())
    }

    /// A ticket to a recording, and until when it lasts, milliseconds since 1970. Whoever asks again soon gets the same one, so that
    /// pages and caches keep what they have: it lasts up to a sixth less.
    pub fn sign(&self, recording: &str, lasts: Duration) -> (String, i64) {
        let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let step_ms = (lasts_ms / 6).max(1);
        let expires_ms = now_ms().saturating_add(lasts_ms) / step_ms * step_ms;
        (self.keys().sign(PlaybackScope::Vod(recording), expires_ms), expires_ms)
    }

    /// Whether a ticket opens a recording now.
    pub fn open(&self, recording: &str, ticket: &str) -> bool {
        self.keys().verify(ticket, PlaybackScope::Vod(recording), now_ms()).is_ok()
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn keys(&self) -> MutexGuard<'_, PlaybackKeys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
