//! The library: recordings by text, tag and facts, in one of four orders, page by page.
//!
//! What can be searched is kept beside what is shown, in lower case by Rust's rules, because the two databases lower other
//! letters than ASCII's differently or not at all. Pages go on behind the last row that was given, so rows that are added or
//! removed meanwhile neither repeat nor hide others.

use super::cursor::Cursor;
use super::details::{fold, line};
use super::{Recording, RecordingDetails, RecordingStatus, Visibility, read_recording, recording_columns};
use crate::database::Argument;
use crate::word::words;
use crate::{Error, Store, check_name};

/// Most rows of a page.
const LIMIT_MAX: u32 = 100;
const TEXT_CHARS_MAX: usize = 200;
/// What stands behind a field that is searched, and on both sides of a tag: control characters, which no field holds.
const FIELD: char = '\u{1f}';
const TAG: char = '\u{1e}';

/// Which recordings are wanted; the default is all that are not in the trash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Stands somewhere in the title, the description or a tag, whatever its case; at most 200 characters. Empty: any.
    pub text: String,
    /// Has this tag, whatever its case.
    pub tag: Option<String>,
    /// Is of the stream of this name.
    pub stream: Option<String>,
    /// Has this status.
    pub status: Option<RecordingStatus>,
    /// Has this visibility.
    pub visibility: Option<Visibility>,
    /// Started at this time or later, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Started before this time, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Is a clip, or is none.
    pub clip: Option<bool>,
    /// Is in the trash.
    pub trashed: bool,
}

words! {
    /// What a list is sorted by; what is equal in that, by id.
    #[derive(Default)]
    Sort, "sort";
    /// When it started.
    #[default]
    Started = "started",
    /// Its title, in lower case, as the database orders texts.
    Title = "title",
    /// How long it is.
    Duration = "duration",
    /// How many bytes it has.
    Size = "size",
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Sort,
    /// The largest, newest or last in the alphabet first.
    pub descending: bool,
}

impl Default for Order {
    /// The newest first.
    fn default() -> Self {
        Self { by: Sort::Started, descending: true }
    }
}

/// A piece of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub recordings: Vec<Recording>,
    /// Where the list goes on, for [`Store::recordings`]; `None` at its end. Letters, digits, `-` and `_`.
    pub next: Option<String>,
}

impl Store {
    /// A page of the recordings that are wanted, from the first row or behind the cursor of a page of the same order; `limit`
    /// rows (1 to 100; what is outside is taken to the nearer end).
    ///
    /// # Errors
    /// [`Error::BadCursor`]; [`Error::BadSetting`] and [`Error::BadName`] for what nothing can be searched by; when the database
    /// did not answer.
    pub async fn recordings(
        &self,
        search: &Search,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page, Error> {
        let limit = limit.clamp(1, LIMIT_MAX);
        let queries = queries(order);
        let mut values = search.values()?;
        // One more than asked for tells whether there is more.
        values.push(i64::from(limit + 1).into());
        let query = match cursor {
            None => queries.first,
            Some(cursor) => {
                values.extend(Cursor::read(cursor, order)?.values());
                queries.next
            }
        };
        let rows = self.database().fetch("list the recordings", query, &values).await?;
        let mut recordings = rows.iter().map(read_recording).collect::<Result<Vec<_>, _>>()?;
        let is_more = recordings.len() > limit as usize;
        recordings.truncate(limit as usize);
        let next = match recordings.last() {
            Some(last) if is_more => Some(Cursor::behind(last, order)?.write()),
            _ => None,
        };
        Ok(Page { recordings, next })
    }

    /// How many recordings are wanted, over all pages.
    ///
    /// # Errors
    /// [`Error::BadSetting`] and [`Error::BadName`] for what nothing can be searched by; when the database did not answer.
    pub async fn count_recordings(&self, search: &Search) -> Result<u64, Error> {
        const COUNT: &str = concat!("select count(*) from recordings r where ", wanted!());
        let rows = self.database().fetch("count the recordings", COUNT, &search.values()?).await?;
        rows.first().map_or(Ok(0), |row| row.count(0))
    }
}

impl Search {
    /// $1 to $9 of [`wanted`].
    fn values(&self) -> Result<Vec<Argument>, Error> {
        let text = fold(&line("search", &self.text, TEXT_CHARS_MAX)?);
        let text = (!text.is_empty()).then(|| format!("%{}%", escape(&text)));
        let tag = self.tag.as_deref().map(|tag| line("tag", tag, TEXT_CHARS_MAX)).transpose()?;
        let tag = tag.map(|tag| format!("%{TAG}{}{TAG}%", escape(&fold(&tag))));
        self.stream.as_deref().map(check_name).transpose()?;
        Ok(vec![
            text.as_deref().into(),
            tag.as_deref().into(),
            self.stream.as_deref().into(),
            self.status.map(RecordingStatus::as_str).into(),
            self.visibility.map(Visibility::as_str).into(),
            self.from_ms.unwrap_or(i64::MIN).into(),
            self.until_ms.unwrap_or(i64::MAX).into(),
            self.clip.map(i64::from).into(),
            i64::from(self.trashed).into(),
        ])
    }
}

/// What a recording is searched by: title, description, and the tags with marks between and around them.
pub(super) fn text_of(details: &RecordingDetails) -> String {
    let mut text = format!("{}{FIELD}{}{FIELD}", fold(&details.title), fold(&details.description));
    for tag in &details.tags {
        text.push(TAG);
        text.push_str(&fold(tag));
    }
    text.push(TAG);
    text
}

/// The text for a `like` pattern with `escape '!'`, so that it stands for itself alone.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(character);
    }
    escaped
}

/// The condition that [`Search::values`] fills in.
macro_rules! wanted {
    () => {
        "r.status <> 'deleted' and ($1 is null or r.search like $1 escape '!') \
        and ($2 is null or r.search like $2 escape '!') and ($3 is null or r.stream = $3) \
        and ($4 is null or r.status = $4) and ($5 is null or r.visibility = $5) \
        and r.started_ms >= $6 and r.started_ms < $7 \
        and ($8 is null or (case when r.clip_of is null then 0 else 1 end) = $8) \
        and (case when r.trashed_ms is null then 0 else 1 end) = $9"
    };
}
use wanted;

/// The texts for one order: of the first page, and of one behind a cursor.
struct Queries {
    first: &'static str,
    next: &'static str,
}

macro_rules! ordered {
    (@page $key:literal, $way:literal, $($place:literal),+) => {
        concat!(
            "select ", recording_columns!(), " from recordings r where ", wanted!(), $($place,)+
            " order by ", $key, " ", $way, ", r.id ", $way, " limit $10"
        )
    };
    ($key:literal, $way:literal, $behind:literal) => {
        Queries {
            first: ordered!(@page $key, $way, ""),
            next: ordered!(@page $key, $way, " and (", $key, ", r.id) ", $behind, " ($11, $12)"),
        }
    };
}

fn queries(order: Order) -> Queries {
    match (order.by, order.descending) {
        (Sort::Started, false) => ordered!("r.started_ms", "asc", ">"),
        (Sort::Started, true) => ordered!("r.started_ms", "desc", "<"),
        (Sort::Title, false) => ordered!("r.title_key", "asc", ">"),
        (Sort::Title, true) => ordered!("r.title_key", "desc", "<"),
        (Sort::Duration, false) => ordered!("r.duration_ms", "asc", ">"),
        (Sort::Duration, true) => ordered!("r.duration_ms", "desc", "<"),
        (Sort::Size, false) => ordered!("r.size_bytes", "asc", ">"),
        (Sort::Size, true) => ordered!("r.size_bytes", "desc", "<"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_escaped_text_has_no_wildcard_and_reads_back(text in "[a%_!'é]{0,30}") {
            let (escaped, mut read) = (escape(&text), String::new());
            let mut characters = escaped.chars();
            while let Some(character) = characters.next() {
                proptest::prop_assert!(!matches!(character, '%' | '_'), "a bare wildcard");
                read.push(if character == '!' { characters.next().unwrap() } else { character });
            }
            proptest::prop_assert_eq!(read, text);
        }
    }
}
