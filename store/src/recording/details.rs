//! What people say of a recording: title, description, tags, who may see it and where it may stand.

use super::{Chapter, read_chapters, write_chapters};
use crate::Error;
use crate::word::words;
use serde_json::{Value, json};

const TITLE_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 5_000;
const TAGS_MAX: usize = 20;
const TAG_CHARS_MAX: usize = 40;
/// Sites a recording may be shown on: all of them stand in one header.
const PARENTS_MAX: usize = 20;
/// Longest name of a host, characters (RFC 1035, 2.3.4).
const HOST_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

words! {
    /// Who may see a recording, or watch a stream; the later ones let fewer people in.
    #[derive(Default, PartialOrd, Ord)]
    Visibility, "visibility";
    /// Everybody, and it is listed.
    #[default]
    Public = "public",
    /// Everybody who knows its address.
    Unlisted = "unlisted",
    /// Whoever has a token for it; see [`PlaybackKeys`](crate::PlaybackKeys).
    Private = "private",
}

/// What people say of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingDetails {
    /// At most 200 characters on one line; may be empty.
    pub title: String,
    /// At most 5,000 characters; may be empty, and may have line breaks.
    pub description: String,
    /// At most 20 of 1 to 40 characters each, none twice, whatever their case.
    pub tags: Vec<String>,
    /// Who may see it.
    pub visibility: Visibility,
    /// Sites whose pages may embed it, at most 20 origins such as `https://example.com`; empty: all.
    pub embed_parents: Vec<String>,
    /// Where its picture is taken, milliseconds from its start; `None`: nobody decided.
    pub thumbnail_ms: Option<i64>,
    /// Its parts with names, at most 100, by their beginnings.
    pub chapters: Vec<Chapter>,
}

/// A change of [`RecordingDetails`]; `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingPatch {
    /// New title.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// All tags anew.
    pub tags: Option<Vec<String>>,
    /// New visibility.
    pub visibility: Option<Visibility>,
    /// All sites anew.
    pub embed_parents: Option<Vec<String>>,
    /// Another picture, milliseconds from the start.
    pub thumbnail_ms: Option<i64>,
    /// All chapters anew.
    pub chapters: Option<Vec<Chapter>>,
}

impl RecordingPatch {
    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn apply(&self, details: &mut RecordingDetails) {
        if let Some(title) = &self.title {
            details.title.clone_from(title);
        }
        if let Some(description) = &self.description {
            details.description.clone_from(description);
        }
        if let Some(tags) = &self.tags {
            details.tags.clone_from(tags);
        }
        if let Some(visibility) = self.visibility {
            details.visibility = visibility;
        }
        if let Some(parents) = &self.embed_parents {
            details.embed_parents.clone_from(parents);
        }
        if let Some(thumbnail_ms) = self.thumbnail_ms {
            details.thumbnail_ms = Some(thumbnail_ms);
        }
        if let Some(chapters) = &self.chapters {
            details.chapters.clone_from(chapters);
        }
    }
}

impl RecordingDetails {
    /// As they are stored: trimmed, with plain line breaks, origins in lower case, nothing twice.
    ///
    /// # Errors
    /// [`Error::BadSetting`] naming the first that cannot be.
    pub fn clean(&self) -> Result<Self, Error> {
        let description = self.description.replace("\r\n", "\n").trim().to_owned();
        line("description", &description.replace('\n', " "), DESCRIPTION_CHARS_MAX)?;
        if self.thumbnail_ms.is_some_and(|at| at < 0) {
            return Err(bad("thumbnail_ms", "before the start".into()));
        }
        Ok(Self {
            title: line("title", &self.title, TITLE_CHARS_MAX)?,
            description,
            tags: clean_tags(&self.tags)?,
            visibility: self.visibility,
            embed_parents: clean_embed_parents(&self.embed_parents)?,
            thumbnail_ms: self.thumbnail_ms,
            // As text they are read, and so held to their limits, by one rule.
            chapters: read_chapters(&write_chapters(&self.chapters))?,
        })
    }

    /// For the audit row. A description may be long and private, so only its length is told.
    pub(super) fn describe(&self) -> Value {
        json!({
            "title": self.title,
            "description_chars": self.description.chars().count(),
            "tags": self.tags,
            "visibility": self.visibility.as_str(),
            "embed_parents": self.embed_parents,
            "thumbnail_ms": self.thumbnail_ms,
            "chapters": self.chapters.len(),
        })
    }
}

/// In lower case, one character after the other: `str::to_lowercase` looks at a word's end (ς), and would lower a piece of a word
/// otherwise than the whole.
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Trims a text of one line.
///
/// # Errors
/// [`Error::BadSetting`] when it is longer than `chars_max` or holds a control character.
pub(super) fn line(setting: &'static str, text: &str, chars_max: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.chars().count() > chars_max {
        return Err(bad(setting, format!("longer than {chars_max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(bad(setting, "holds a control character".into()));
    }
    Ok(text.to_owned())
}

fn clean_tags(given: &[String]) -> Result<Vec<String>, Error> {
    let mut tags: Vec<String> = Vec::new();
    for tag in given {
        let tag = line("tags", tag, TAG_CHARS_MAX)?;
        if tag.is_empty() {
            return Err(bad("tags", "one is empty".into()));
        }
        if tags.iter().any(|known| fold(known) == fold(&tag)) {
            continue;
        }
        if tags.len() == TAGS_MAX {
            return Err(bad("tags", format!("more than {TAGS_MAX}")));
        }
        tags.push(tag);
    }
    Ok(tags)
}

/// Sites whose pages may embed a player, as origins in lower case and none twice: text that can stand in a header.
///
/// # Errors
/// [`Error::BadSetting`] when one is no origin such as `https://example.com`, or there are more than 20.
pub fn clean_embed_parents(given: &[String]) -> Result<Vec<String>, Error> {
    let mut parents = Vec::new();
    for parent in given {
        let wrong = || {
            let shown: String = parent.chars().take(80).collect();
            bad(
                "embed_parents",
                format!("{shown:?} is no site; write https://example.com, with nothing behind the name but a port"),
            )
        };
        let origin = origin(parent).ok_or_else(wrong)?;
        if parents.contains(&origin) {
            continue;
        }
        if parents.len() == PARENTS_MAX {
            return Err(bad("embed_parents", format!("more than {PARENTS_MAX}")));
        }
        parents.push(origin);
    }
    Ok(parents)
}

/// An origin as browsers write it (RFC 6454, 6.2) and Content-Security-Policy takes it: scheme, a host's name in ASCII, a port
/// when it has one. No address in brackets, which that header does not know.
fn origin(given: &str) -> Option<String> {
    let text = given.trim().to_ascii_lowercase();
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=LABEL_CHARS_MAX).contains(&label.len()) && label.bytes().all(plain)
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
    let is_good = host.len() <= HOST_CHARS_MAX && host.split('.').all(is_label) && port.is_none_or(is_port);
    is_good.then_some(text)
}

fn bad(setting: &'static str, why: String) -> Error {
    Error::BadSetting { setting, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn details_are_trimmed_and_nothing_is_said_twice() {
        let given = RecordingDetails {
            title: "  Evening \u{3000}".into(),
            description: " first\r\nsecond\n".into(),
            tags: vec![" Jazz".into(), "jazz ".into(), "ΟΔΟΣ".into()],
            visibility: Visibility::Unlisted,
            embed_parents: vec!["HTTPS://Example.com:8443".into(), " https://example.com:8443".into()],
            thumbnail_ms: Some(0),
            chapters: vec![Chapter { at_ms: 0, title: " Doors ".into() }],
        };
        let clean = given.clean().unwrap();
        assert_eq!((clean.title.as_str(), clean.description.as_str()), ("Evening", "first\nsecond"));
        assert_eq!(
            (clean.tags, clean.embed_parents),
            (vec!["Jazz".into(), "ΟΔΟΣ".into()], vec!["https://example.com:8443".into()])
        );
    }

    #[test]
    fn details_beyond_their_limits_are_refused_by_name() {
        let check = |setting: &str, change: fn(&mut RecordingDetails)| {
            let mut details = RecordingDetails::default();
            change(&mut details);
            let refused = details.clean().unwrap_err();
            assert!(matches!(&refused, Error::BadSetting { setting: named, .. } if *named == setting), "{refused}");
        };
        check("title", |details| details.title = "x".repeat(201));
        check("title", |details| details.title = "two\nlines".into());
        check("description", |details| details.description = "x".repeat(5_001));
        check("description", |details| details.description = "a\u{0}b".into());
        check("tags", |details| details.tags = vec!["x".repeat(41)]);
        check("tags", |details| details.tags = vec![" ".into()]);
        check("tags", |details| details.tags = (0..21).map(|n| n.to_string()).collect());
        check("embed_parents", |details| {
            details.embed_parents = (0..21).map(|n| format!("https://{n}.example")).collect()
        });
        check("thumbnail_ms", |details| details.thumbnail_ms = Some(-1));
    }

    #[test]
    fn only_origins_are_parents() {
        for good in
            ["https://example.com", "http://localhost:3000", "https://192.0.2.1", "https://xn--bcher-kva.example"]
        {
            assert_eq!(origin(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/a",
            "https://*.example.com",
            "https://a b",
            "https://a;b",
            "https://a,b",
            "https://a'",
            "https://bücher.example",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:080",
            "https://example.com:+80",
            "https://example.com:65536",
            "https://a..b",
            "ftp://example.com",
            "javascript:alert(1)",
            "null",
            "*",
        ] {
            assert_eq!(origin(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_clean_stays_as_it_is(
            title in "\\PC{0,20}",
            description in "[\\PC\n]{0,20}",
            tags in prop::collection::vec("\\PC{1,8}", 0..6),
        ) {
            let given = RecordingDetails { title, description, tags, ..RecordingDetails::default() };
            if let Ok(clean) = given.clean() {
                prop_assert_eq!(clean.clean().unwrap(), clean);
            }
        }

        #[test]
        fn a_parent_breaks_out_of_no_header(given in "\\PC{0,40}|https?://[a-z.:0-9;, '*/]{0,30}") {
            if let Some(origin) = origin(&given) {
                prop_assert!(origin.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-".contains(&b)), "{}", origin);
            }
        }
    }
}
