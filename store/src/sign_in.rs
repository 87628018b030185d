//! Browsers that were signed in with the API token, so that the token itself is kept in none.

use crate::secret::{ApiToken, SignInSecret};
use crate::{Error, Store};
use std::time::Duration;

/// A sign-in nobody used for so long is over (14 days).
const IDLE_MS: i64 = 14 * 24 * 3_600_000;
/// However much it is used, it is over then (90 days).
const AGE_MS: i64 = 90 * 24 * 3_600_000;
/// Uses are noted this exactly: a write for each request would be too many.
const NOTED_EVERY_MS: i64 = 3_600_000;
/// How long a request waits for that.
const NOTED_WITHIN: Duration = Duration::from_millis(300);
/// Sign-ins that are kept; beyond, the one that was used longest ago makes room.
const KEPT_MAX: i64 = 1_000;

impl Store {
    /// Signs a browser in that has shown `token`; what it is to show from now on.
    ///
    /// # Errors
    /// When the database did not answer, or [`Error::NoRandomness`].
    pub async fn sign_in(&self, token: &ApiToken, now_ms: i64) -> Result<SignInSecret, Error> {
        const INSERT: &str = "insert into sign_ins (hash, created_ms, used_ms) values ($1, $2, $2)";
        const FORGET: &str = "delete from sign_ins where used_ms < $1 or created_ms < $2 or hash in \
            (select hash from sign_ins order by used_ms desc, hash limit $3 offset $4)";
        let secret = SignInSecret::generate()?;
        let mut transaction = self.database().begin().await?;
        let forget = [(now_ms - IDLE_MS).into(), (now_ms - AGE_MS).into(), i64::MAX.into(), (KEPT_MAX - 1).into()];
        transaction.execute("forget old sign-ins", FORGET, &forget).await?;
        transaction.execute("sign in", INSERT, &[secret.hash(token).as_str().into(), now_ms.into()]).await?;
        transaction.commit().await?;
        Ok(secret)
    }

    /// Whether `presented` was given by [`Store::sign_in`] for the same token and is still good.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn is_signed_in(&self, presented: &str, token: &ApiToken, now_ms: i64) -> Result<bool, Error> {
        const FIND: &str = "select used_ms from sign_ins where hash = $1 and used_ms >= $2 and created_ms >= $3";
        let Some(secret) = SignInSecret::parse(presented) else { return Ok(false) };
        let hash = secret.hash(token);
        let arguments = [hash.as_str().into(), (now_ms - IDLE_MS).into(), (now_ms - AGE_MS).into()];
        let rows = self.database().fetch("look up the sign-in", FIND, &arguments).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        if now_ms - row.int(0)? >= NOTED_EVERY_MS {
            // A database that cannot be written now keeps nobody out.
            match tokio::time::timeout(NOTED_WITHIN, self.note_sign_in(&hash, now_ms)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a sign-in's use was not noted")
                }
                Err(_) => tracing::debug!("a sign-in's use was not noted in time"),
            }
        }
        Ok(true)
    }

    async fn note_sign_in(&self, hash: &str, now_ms: i64) -> Result<(), Error> {
        const NOTE: &str = "update sign_ins set used_ms = $2 where hash = $1";
        let mut transaction = self.database().begin().await?;
        transaction.execute("note the sign-in", NOTE, &[hash.into(), now_ms.into()]).await?;
        transaction.commit().await
    }

    /// Signs a browser out; whatever is no sign-in is none afterwards either.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn sign_out(&self, presented: &str, token: &ApiToken) -> Result<(), Error> {
        const FIND: &str = "select used_ms from sign_ins where hash = $1";
        let Some(secret) = SignInSecret::parse(presented) else { return Ok(()) };
        let hash = secret.hash(token);
        // Strangers' inventions take no turn at the one writer.
        if self.database().fetch("look up the sign-in", FIND, &[hash.as_str().into()]).await?.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database().begin().await?;
        transaction.execute("sign out", "delete from sign_ins where hash = $1", &[hash.as_str().into()]).await?;
        transaction.commit().await
    }
}
