use crate::database::Row;
use crate::{Error, Latency, RecordingRules, RecordingRulesPatch, Slate, Visibility};

/// Longest title kept, characters.
const TITLE_CHARS_MAX: usize = 200;
/// Longest ladder text kept, bytes.
const LADDER_BYTES_MAX: usize = 400;
/// Longest reconnect window, seconds.
const RECONNECT_WINDOW_MAX_S: u32 = 300;

/// A stream as stored: a public name somebody may publish to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// UUIDv7 as text; stays while the name might change hands.
    pub id: String,
    /// The public name, part of every URL; see [`check_name`].
    pub name: String,
    /// When it was added, milliseconds since 1970.
    pub created_ms: i64,
    /// What the operator set.
    pub settings: StreamSettings,
    /// It has an image for [`Slate::Image`].
    pub has_slate_image: bool,
    /// First media sequence number never used.
    pub next_msn: u64,
    /// The session that is open, or was when the server died.
    pub session: Option<SessionMark>,
    /// An operator stopped it: it takes no publisher before this time, milliseconds since 1970.
    pub stopped_until_ms: Option<i64>,
    /// Its keys that were not revoked, oldest first; an expired one is still listed.
    pub keys: Vec<KeyInfo>,
}

/// What an operator sets per stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// Shown on the watch page, at most 200 characters; may be empty.
    pub title: String,
    /// The encoded rungs wanted, as text the caller has checked; at most 400 bytes. `None` takes the server's default.
    pub ladder: Option<String>,
    /// Whether the source may be repackaged without encoding when it is eligible.
    pub passthrough: bool,
    /// How long a session waits for a publisher that vanished, 0 to 300 s; `None` takes the server's default.
    pub reconnect_window_s: Option<u32>,
    /// Who wins when two present a good key; `None` takes the server's default.
    pub takeover: Option<Takeover>,
    /// What viewers see while the publisher is away.
    pub slate: Slate,
    /// What its playlists offer.
    pub latency: Latency,
    /// Who may watch it. Its recordings let no more people in when they begin.
    pub visibility: Visibility,
    /// How it is recorded.
    pub recording: RecordingRules,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            title: String::new(),
            ladder: None,
            passthrough: true,
            reconnect_window_s: None,
            takeover: None,
            slate: Slate::Last,
            latency: Latency::Low,
            visibility: Visibility::Public,
            recording: RecordingRules::default(),
        }
    }
}

/// Who wins when two present a good key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// The newest.
    Newest,
    /// The one that is live, unless it fell silent.
    Reject,
}

impl Takeover {
    /// `newest` or `reject`, as it is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Reject => "reject",
        }
    }
}

impl std::str::FromStr for Takeover {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "newest" => Ok(Self::Newest),
            "reject" => Ok(Self::Reject),
            _ => Err(Error::BadSetting { setting: "takeover", why: "neither newest nor reject".into() }),
        }
    }
}

/// A change of settings; `None` leaves a setting as it is, `Some(None)` takes it back to the server's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPatch {
    /// New title.
    pub title: Option<String>,
    /// New ladder.
    pub ladder: Option<Option<String>>,
    /// New rule for passthrough.
    pub passthrough: Option<bool>,
    /// New reconnect window, seconds.
    pub reconnect_window_s: Option<Option<u32>>,
    /// New rule for two publishers.
    pub takeover: Option<Option<Takeover>>,
    /// Something else to see while the publisher is away.
    pub slate: Option<Slate>,
    /// Other playlists.
    pub latency: Option<Latency>,
    /// Other people may watch it, from now on.
    pub visibility: Option<Visibility>,
    /// Other rules for recordings.
    pub recording: RecordingRulesPatch,
}

impl StreamPatch {
    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn apply(&self, settings: &mut StreamSettings) {
        if let Some(title) = &self.title {
            settings.title.clone_from(title);
        }
        if let Some(ladder) = &self.ladder {
            settings.ladder.clone_from(ladder);
        }
        if let Some(passthrough) = self.passthrough {
            settings.passthrough = passthrough;
        }
        if let Some(window) = self.reconnect_window_s {
            settings.reconnect_window_s = window;
        }
        if let Some(takeover) = self.takeover {
            settings.takeover = takeover;
        }
        if let Some(slate) = self.slate {
            settings.slate = slate;
        }
        if let Some(latency) = self.latency {
            settings.latency = latency;
        }
        if let Some(visibility) = self.visibility {
            settings.visibility = visibility;
        }
        self.recording.apply(&mut settings.recording);
    }
}

/// A session that was opened and not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMark {
    /// Its id, as the caller gave it.
    pub id: String,
    /// When its media came last, milliseconds since 1970.
    pub seen_ms: i64,
}

/// What may be known of a key without knowing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The public id, 8 characters.
    pub id: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// When it stops working, `None`: never by itself.
    pub expires_ms: Option<i64>,
    /// Longest distance of keyframes seen in its last session, milliseconds.
    pub keyframe_interval_ms: Option<u32>,
}

impl KeyInfo {
    /// Whether it works at `now_ms`.
    pub fn is_active(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|at| at > now_ms)
    }
}

/// Whether `name` can be a stream's: 1 to 63 of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit. It is used in
/// paths and playlists as it is.
///
/// # Errors
/// [`Error::BadName`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = name.bytes().next().is_some_and(plain);
    if first && name.len() <= 63 && name.bytes().all(|b| plain(b) || b == b'-' || b == b'_') {
        return Ok(());
    }
    Err(Error::BadName { name: name.chars().take(80).collect() })
}

impl StreamSettings {
    /// # Errors
    /// [`Error::BadSetting`] naming the first value out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.title.chars().count() > TITLE_CHARS_MAX {
            return Err(Error::BadSetting {
                setting: "title",
                why: format!("longer than {TITLE_CHARS_MAX} characters"),
            });
        }
        if self.title.chars().any(char::is_control) {
            return Err(Error::BadSetting { setting: "title", why: "holds a control character".into() });
        }
        if self.reconnect_window_s.is_some_and(|window| window > RECONNECT_WINDOW_MAX_S) {
            let why = format!("outside 0 to {RECONNECT_WINDOW_MAX_S} s");
            return Err(Error::BadSetting { setting: "reconnect_window_s", why });
        }
        if self.ladder.as_ref().is_some_and(|ladder| ladder.len() > LADDER_BYTES_MAX) {
            let why = format!("longer than {LADDER_BYTES_MAX} bytes");
            return Err(Error::BadSetting { setting: "ladder", why });
        }
        self.recording.check()
    }
}

/// The columns [`read_stream`] wants, in its order.
macro_rules! stream_columns {
    () => {
        concat!(
            "s.id, s.name, s.created_ms, s.title, s.ladder, s.passthrough, s.next_msn, s.session, s.session_seen_ms, \
            s.reconnect_window_s, s.takeover, s.stopped_until_ms, s.slate, \
            (select count(*) from stream_slates i where i.stream_id = s.id), s.latency, s.visibility, ",
            $crate::recording::rules_columns!()
        )
    };
}
pub(crate) use stream_columns;

/// How many columns [`stream_columns`] are, so that others can follow them.
pub(crate) const STREAM_COLUMNS: usize = 22;

/// A stream without its keys.
pub(crate) fn read_stream(row: &Row) -> Result<Stream, Error> {
    let next_msn = row.int(6)?;
    let session = match (row.text_or_null(7)?, row.int_or_null(8)?) {
        (Some(id), seen_ms) => Some(SessionMark { id, seen_ms: seen_ms.unwrap_or(0) }),
        (None, _) => None,
    };
    Ok(Stream {
        id: row.text(0)?,
        name: row.text(1)?,
        created_ms: row.int(2)?,
        settings: StreamSettings {
            title: row.text(3)?,
            ladder: row.text_or_null(4)?,
            passthrough: row.int(5)? != 0,
            reconnect_window_s: row.int_or_null(9)?.and_then(|s| u32::try_from(s).ok()),
            takeover: row.text_or_null(10)?.and_then(|t| t.parse().ok()),
            slate: row.text(12)?.parse().unwrap_or_default(),
            latency: row.text(14)?.parse().unwrap_or_default(),
            // A word that is none of ours shows it to nobody.
            visibility: row.word(15).unwrap_or(Visibility::Private),
            recording: RecordingRules::read(row, 16)?,
        },
        has_slate_image: row.int(13)? != 0,
        next_msn: u64::try_from(next_msn)
            .map_err(|_| Error::Unreadable { what: format!("streams.next_msn = {next_msn}") })?,
        session,
        stopped_until_ms: row.int_or_null(11)?,
        keys: Vec::new(),
    })
}

/// A key from the columns id, created_ms, expires_ms, keyframe_interval_ms beginning at `at`.
pub(crate) fn read_key(row: &Row, at: usize) -> Result<KeyInfo, Error> {
    Ok(KeyInfo {
        id: row.text(at)?,
        created_ms: row.int(at + 1)?,
        expires_ms: row.int_or_null(at + 2)?,
        keyframe_interval_ms: row.int_or_null(at + 3)?.and_then(|ms| u32::try_from(ms).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_hurt_a_url_are_refused() {
        for good in ["a", "demo", "0-1_2", &"x".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a/b", "..", "ä", "a b", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
