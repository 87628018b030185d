//! Tokens that let a player in where not everybody may look: a private recording, a private stream.
//!
//! A token stands in the path (`/p/TOKEN/…`), so that relative addresses in playlists keep it and no playlist is written for one
//! viewer. It says until when and by which key; what it opens it does not say, the path behind it does. Checking one asks no
//! database. This is no DRM: whoever has the token can pass it on while it lasts.
//!
//! The keys are made from the API token and a number (HMAC-SHA-256), so the database holds the number alone, a copy of it signs
//! nothing, and another API token ends all of them, as it does sign-ins.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use store::{ApiToken, PlaybackKeys, PlaybackScope};
//! let keys = PlaybackKeys::of(&ApiToken::generate()?, 1);
//! let token = keys.sign(PlaybackScope::Live("show"), 1_800_000_600_000);
//! assert!(keys.verify(&token, PlaybackScope::Live("show"), 1_800_000_000_000).is_ok());
//! assert!(keys.verify(&token, PlaybackScope::Vod("show"), 1_800_000_000_000).is_err());
//! # Ok(()) }
//! ```

use crate::database::Row;
use crate::{Actor, ApiToken, Error, Store};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use std::fmt;

/// The key's number, big-endian.
const NUMBER_BYTES: usize = 4;
/// Milliseconds since 1970, big-endian: enough until the year 10889.
const EXPIRY_BYTES: usize = 6;
const EXPIRY_MAX_MS: u64 = (1 << (8 * EXPIRY_BYTES)) - 1;
/// 160 of HMAC-SHA-256's bits; half of them are enough (RFC 2104, 5). With these the whole is a multiple of three bytes, so no
/// character has bits to spare.
const TAG_BYTES: usize = 20;
const TOKEN_BYTES: usize = NUMBER_BYTES + EXPIRY_BYTES + TAG_BYTES;
const TOKEN_CHARS: usize = TOKEN_BYTES / 3 * 4;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaybackScope<'a> {
    /// What is live of the stream of this name.
    Live(&'a str),
    /// The recording of this id.
    Vod(&'a str),
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaybackRefusal {
    /// Not 40 characters of `A-Z`, `a-z`, `0-9`, `-`, `_`.
    #[error("this is no playback token; open the page again to get one")]
    Malformed,
    /// Neither the current key nor the one before made it.
    #[error("the playback token's key was replaced; open the page again to get another")]
    UnknownKey,
    /// It was changed, or opens something else.
    #[error("the playback token is not for this; open the page again to get the right one")]
    Wrong,
    /// It is over.
    #[error("the playback token has expired; open the page again to get another")]
    Expired,
}

/// The key that signs, and the one before it, which still opens. `Debug` shows their numbers.
#[derive(Clone)]
pub struct PlaybackKeys {
    current: Key,
    previous: Option<Key>,
}

#[derive(Clone)]
struct Key {
    number: u32,
    /// Its inner and outer hash are begun once, here.
    secret: hmac::Key,
}

impl PlaybackKeys {
    /// How often they were rotated, and one.
    pub fn number(&self) -> u32 {
        self.current.number
    }

    /// The keys of this number (from 1; [`Store::playback_keys`]) that belong to the API token.
    pub fn of(token: &ApiToken, number: u32) -> Self {
        let previous = number.checked_sub(1).filter(|previous| *previous > 0);
        Self { current: Key::of(token, number), previous: previous.map(|number| Key::of(token, number)) }
    }

    /// A token of 40 URL-safe characters that opens `scope` until `expires_ms` (milliseconds since 1970; one before 1970 opens
    /// nothing).
    pub fn sign(&self, scope: PlaybackScope<'_>, expires_ms: i64) -> String {
        let expiry = u64::try_from(expires_ms).unwrap_or(0).min(EXPIRY_MAX_MS).to_be_bytes();
        let expiry = &expiry[expiry.len() - EXPIRY_BYTES..];
        let mut bytes = [0; TOKEN_BYTES];
        let (number, rest) = bytes.split_at_mut(NUMBER_BYTES);
        let (expires, tag) = rest.split_at_mut(EXPIRY_BYTES);
        number.copy_from_slice(&self.current.number.to_be_bytes());
        expires.copy_from_slice(expiry);
        tag.copy_from_slice(&self.current.tag(scope, expiry).as_ref()[..TAG_BYTES]);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Whether `token` opens `scope` at `now_ms`. The signature is compared in constant time; nothing is allocated.
    ///
    /// # Errors
    /// Why it does not, for the log and for the player.
    pub fn verify(&self, token: &str, scope: PlaybackScope<'_>, now_ms: i64) -> Result<(), PlaybackRefusal> {
        let mut bytes = [0; TOKEN_BYTES];
        if token.len() != TOKEN_CHARS || BASE64URL_NOPAD.decode_mut(token.as_bytes(), &mut bytes).is_err() {
            return Err(PlaybackRefusal::Malformed);
        }
        let (number, rest) = bytes.split_at(NUMBER_BYTES);
        let (expiry, tag) = rest.split_at(EXPIRY_BYTES);
        let made_by = |key: &&Key| key.number.to_be_bytes() == number;
        let key = [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(made_by);
        let key = key.ok_or(PlaybackRefusal::UnknownKey)?;
        if verify_slices_are_equal(&key.tag(scope, expiry).as_ref()[..TAG_BYTES], tag).is_err() {
            return Err(PlaybackRefusal::Wrong);
        }
        if read_expiry(expiry) <= now_ms { Err(PlaybackRefusal::Expired) } else { Ok(()) }
    }
}

/// Until when a token says that it lasts, milliseconds since 1970, whoever made it; `None` for what is none. It opens nothing.
pub fn playback_expiry_ms(token: &str) -> Option<i64> {
    let mut bytes = [0; TOKEN_BYTES];
    let is_token = token.len() == TOKEN_CHARS && BASE64URL_NOPAD.decode_mut(token.as_bytes(), &mut bytes).is_ok();
    is_token.then(|| read_expiry(&bytes[NUMBER_BYTES..NUMBER_BYTES + EXPIRY_BYTES]))
}

fn read_expiry(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |ms, byte| (ms << 8) | i64::from(*byte))
}

impl Key {
    fn of(token: &ApiToken, number: u32) -> Self {
        let secret = token.derive(&format!("playback {number}"));
        Self { number, secret: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()) }
    }

    /// Over the expiry, what kind of thing it is, and its name: only the last has no fixed length.
    fn tag(&self, scope: PlaybackScope<'_>, expiry: &[u8]) -> hmac::Tag {
        let (kind, name) = match scope {
            PlaybackScope::Live(name) => (b'l', name),
            PlaybackScope::Vod(id) => (b'v', id),
        };
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(expiry);
        context.update(&[kind]);
        context.update(name.as_bytes());
        context.sign()
    }
}

impl fmt::Debug for PlaybackKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous = self.previous.as_ref().map(|key| key.number);
        f.debug_struct("PlaybackKeys").field("current", &self.current.number).field("previous", &previous).finish()
    }
}

impl Store {
    /// The keys playback tokens are signed with now. Read them at the start and after each [`Store::changes`].
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn playback_keys(&self, token: &ApiToken) -> Result<PlaybackKeys, Error> {
        const NUMBER: &str = "select playback_key from revision where id = 1";
        let rows = self.database().fetch("read the playback key's number", NUMBER, &[]).await?;
        Ok(PlaybackKeys::of(token, read_number(rows.first())?))
    }

    /// Replaces the key that signs, with an audit row. Tokens of the key before open until they expire or the next rotation;
    /// older ones open nothing from now on.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn rotate_playback_keys(
        &self,
        actor: &Actor,
        token: &ApiToken,
        now_ms: i64,
    ) -> Result<PlaybackKeys, Error> {
        const ROTATE: &str = "update revision set playback_key = playback_key + 1 where id = 1 returning playback_key";
        let mut change = self.begin_change(now_ms).await?;
        let rows = change.transaction.fetch("rotate the playback keys", ROTATE, &[]).await?;
        let number = read_number(rows.first())?;
        self.keep_change(change, actor, "playback.rotate", "", &json!({ "key": number })).await?;
        Ok(PlaybackKeys::of(token, number))
    }
}

fn read_number(row: Option<&Row>) -> Result<u32, Error> {
    let row = row.ok_or_else(|| Error::Unreadable { what: "the table revision is empty".into() })?;
    let number = row.count(0)?;
    u32::try_from(number).map_err(|_| Error::Unreadable { what: format!("revision.playback_key = {number}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn api_token() -> ApiToken {
        ApiToken::parse(&format!("wt_{}", "a".repeat(32))).unwrap()
    }

    fn keys(number: u32) -> PlaybackKeys {
        PlaybackKeys::of(&api_token(), number)
    }

    #[test]
    fn a_token_is_good_until_the_moment_it_expires() {
        let keys = keys(1);
        let token = keys.sign(PlaybackScope::Vod("r"), NOW_MS);
        assert_eq!(keys.verify(&token, PlaybackScope::Vod("r"), NOW_MS - 1), Ok(()));
        assert_eq!(keys.verify(&token, PlaybackScope::Vod("r"), NOW_MS), Err(PlaybackRefusal::Expired));
        for (expires_ms, opens) in [(i64::MIN, false), (-1, false), (i64::MAX, true)] {
            let token = keys.sign(PlaybackScope::Vod("r"), expires_ms);
            assert_eq!(keys.verify(&token, PlaybackScope::Vod("r"), NOW_MS).is_ok(), opens, "{expires_ms}");
        }
        assert_eq!((playback_expiry_ms(&token), playback_expiry_ms("none")), (Some(NOW_MS), None));
    }

    #[test]
    fn a_replaced_key_opens_until_the_second_rotation() {
        let scope = PlaybackScope::Live("show");
        let token = keys(1).sign(scope, NOW_MS + 1);
        let verify = |number| keys(number).verify(&token, scope, NOW_MS);
        assert_eq!([verify(1), verify(2), verify(3)], [Ok(()), Ok(()), Err(PlaybackRefusal::UnknownKey)]);
        let unknown = keys(0).sign(scope, NOW_MS + 1);
        assert_eq!(keys(1).verify(&unknown, scope, NOW_MS), Err(PlaybackRefusal::UnknownKey), "there is no key 0");
    }

    #[test]
    fn another_api_token_ends_every_token() {
        let scope = PlaybackScope::Live("show");
        let other = PlaybackKeys::of(&ApiToken::generate().unwrap(), 1);
        assert_eq!(other.verify(&keys(1).sign(scope, NOW_MS + 1), scope, NOW_MS), Err(PlaybackRefusal::Wrong));
    }

    #[test]
    fn no_key_shows_in_debug() {
        assert_eq!(format!("{:?}", keys(2)), "PlaybackKeys { current: 2, previous: Some(1) }");
    }

    fn scope(live: bool, name: &str) -> PlaybackScope<'_> {
        if live { PlaybackScope::Live(name) } else { PlaybackScope::Vod(name) }
    }

    proptest! {
        #[test]
        fn a_token_opens_its_own_scope_alone(
            one in (any::<bool>(), "[a-z-]{0,8}"),
            other in (any::<bool>(), "[a-z-]{0,8}"),
            ahead_ms in 1..i64::from(u32::MAX),
        ) {
            let keys = keys(7);
            let token = keys.sign(scope(one.0, &one.1), NOW_MS + ahead_ms);
            let in_a_path = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            prop_assert!(token.len() == TOKEN_CHARS && token.bytes().all(in_a_path), "{}", token);
            prop_assert_eq!(keys.verify(&token, scope(one.0, &one.1), NOW_MS), Ok(()));
            prop_assert_eq!(keys.verify(&token, scope(other.0, &other.1), NOW_MS).is_ok(), one == other);
        }

        #[test]
        fn one_changed_character_is_refused(at in 0..TOKEN_CHARS, to in "[A-Za-z0-9_-]") {
            let keys = keys(3);
            let good = keys.sign(PlaybackScope::Live("show"), NOW_MS + 1);
            let mut token = good.clone();
            token.replace_range(at..=at, &to);
            prop_assert_eq!(keys.verify(&token, PlaybackScope::Live("show"), NOW_MS).is_ok(), token == good);
        }

        #[test]
        fn any_text_is_refused(token in "\\PC{0,60}|[A-Za-z0-9_-]{40}") {
            prop_assert!(keys(1).verify(&token, PlaybackScope::Vod("r"), NOW_MS).is_err());
        }
    }
}
