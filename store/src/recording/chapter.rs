//! Chapters: where a recording has parts with names. People write them, and the database keeps them, a line each: `12:34 Title`.

use super::details::line;
use crate::Error;
use std::fmt::Write as _;
use std::ops::Range;

/// More are no help to find a place.
const CHAPTERS_MAX: usize = 100;
const TITLE_CHARS_MAX: usize = 100;
/// No recording is longer: 1,000 hours.
const AT_MS_MAX: u64 = 1_000 * 3_600_000;

/// A part of a recording with a name; it lasts until the next one, or the recording's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// Where it begins, milliseconds from the recording's start.
    pub at_ms: u64,
    /// 1 to 100 characters on one line.
    pub title: String,
}

/// Reads chapters as people write them: a time (`0:00`, `12:34`, `1:02:03` or `1:02:03.5`), a space and a title on each line, the
/// times rising. Empty lines do not count.
///
/// # Errors
/// [`Error::BadSetting`] naming the line and what would be right.
pub fn read_chapters(text: &str) -> Result<Vec<Chapter>, Error> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for (number, written) in (1..).zip(text.lines()) {
        let bad = |why: String| Error::BadSetting { setting: "chapters", why: format!("line {number} {why}") };
        let written = written.trim();
        if written.is_empty() {
            continue;
        }
        let (time, title) = written.split_once(char::is_whitespace).unwrap_or((written, ""));
        let at_ms = read_time(time).ok_or_else(|| bad("does not begin with a time such as 12:34 or 1:02:03".into()))?;
        let title = line("chapters", title, TITLE_CHARS_MAX).map_err(|error| match error {
            Error::BadSetting { why, .. } => bad(format!("has a title that can't be: {why}")),
            other => other,
        })?;
        if title.is_empty() {
            return Err(bad("has no title behind the time".into()));
        }
        if chapters.last().is_some_and(|before| before.at_ms >= at_ms) {
            return Err(bad("does not begin behind the line before".into()));
        }
        if chapters.len() == CHAPTERS_MAX {
            return Err(bad(format!("is one too many: {CHAPTERS_MAX} chapters are the most")));
        }
        chapters.push(Chapter { at_ms, title });
    }
    Ok(chapters)
}

/// The same as text, which reads back as the same.
pub fn write_chapters(chapters: &[Chapter]) -> String {
    let mut text = String::new();
    for Chapter { at_ms, title } in chapters {
        let (hours, minutes, seconds) = (at_ms / 3_600_000, at_ms / 60_000 % 60, at_ms / 1_000 % 60);
        let _ = write!(text, "{hours}:{minutes:02}:{seconds:02}");
        if at_ms % 1_000 > 0 {
            let _ = write!(text, ".{:03}", at_ms % 1_000);
        }
        let _ = writeln!(text, " {title}");
    }
    text
}

/// The chapters of a piece of a recording, given in milliseconds: the one it begins in and those that begin within, by the piece's own
/// time. None when all of it lies in one.
pub fn chapters_within(chapters: &[Chapter], piece: Range<u64>) -> Vec<Chapter> {
    let first = chapters.partition_point(|chapter| chapter.at_ms <= piece.start).saturating_sub(1);
    let until = chapters.partition_point(|chapter| chapter.at_ms < piece.end);
    let within = chapters.get(first..until).unwrap_or_default();
    if within.len() < 2 && within.iter().all(|chapter| chapter.at_ms <= piece.start) {
        return Vec::new();
    }
    let moved = |chapter: &Chapter| Chapter { at_ms: chapter.at_ms.saturating_sub(piece.start), ..chapter.clone() };
    within.iter().map(moved).collect()
}

/// Minutes and seconds, with hours in front and a fraction of up to three digits behind if need be.
fn read_time(text: &str) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = clock.split(':').collect();
    let (first, rest) = parts.split_first()?;
    if !(1..=2).contains(&rest.len()) || !is_number(first, 5) || !is_number(fraction, 3) {
        return None;
    }
    let mut seconds: u64 = first.parse().ok()?;
    for part in rest {
        let number = part.parse::<u64>().ok().filter(|number| is_number(part, 2) && *number < 60)?;
        seconds = seconds * 60 + number;
    }
    let fraction_ms: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(seconds * 1_000 + fraction_ms).filter(|at_ms| *at_ms <= AT_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chapters_are_read_as_people_write_them() {
        let text = "00:00 Doors\r\n\n 1:05\tFirst song \n75:00.5 A long one\n1:20:00 Encore: the end";
        let read = read_chapters(text).unwrap();
        let pairs: Vec<(u64, &str)> = read.iter().map(|chapter| (chapter.at_ms, chapter.title.as_str())).collect();
        let want = [(0, "Doors"), (65_000, "First song"), (4_500_500, "A long one"), (4_800_000, "Encore: the end")];
        assert_eq!(pairs, want);
        assert_eq!(
            write_chapters(&read),
            "0:00:00 Doors\n0:01:05 First song\n1:15:00.500 A long one\n1:20:00 Encore: the end\n"
        );
        assert_eq!(read_chapters(" \n").unwrap(), []);
    }

    #[test]
    fn a_line_that_is_none_is_named_with_what_would_be_right() {
        let many: String = (0..101).map(|n| format!("{n}:00 x\n")).collect();
        for (text, why) in [
            ("Doors", "line 1 does not begin with a time"),
            ("0:00 Doors\n5 Song", "line 2 does not begin with a time"),
            ("0:60 x", "line 1 does not"),
            ("1:2:3:4 x", "line 1 does not"),
            ("0:00. x", "line 1 does not"),
            ("0:00.1234 x", "line 1 does not"),
            ("-1:00 x", "line 1 does not"),
            ("+1:00 x", "line 1 does not"),
            ("99999:00:00 x", "line 1 does not"),
            ("0:00", "line 1 has no title"),
            ("0:00 a\n\n0:00 b", "line 3 does not begin behind"),
            (&format!("0:00 {}", "x".repeat(101)), "line 1 has a title that can't be: longer than 100"),
            ("0:00 a\u{7}", "line 1 has a title that can't be: holds a control"),
            (&many, "line 101 is one too many"),
        ] {
            let refused = read_chapters(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_piece_has_the_chapters_that_lie_in_it() {
        let all = read_chapters("0:10 Doors\n1:00 Song\n2:00 Encore\n").unwrap();
        let within = |piece| write_chapters(&chapters_within(&all, piece)).replace('\n', "; ");
        assert_eq!(within(65_000..150_000), "0:00:00 Song; 0:00:55 Encore; ");
        assert_eq!(within(60_000..120_001), "0:00:00 Song; 0:01:00 Encore; ");
        assert_eq!(within(0..61_000), "0:00:10 Doors; 0:01:00 Song; ");
        assert_eq!(within(5_000..15_000), "0:00:05 Doors; ", "it begins before the first");
        assert_eq!(within(70_000..110_000), "", "one chapter is none");
        assert_eq!(within(130_000..150_000), "");
        assert_eq!(within(0..10_000), "");
        assert_eq!(chapters_within(&[], 0..10), []);
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_and_read_again(text in "(([0-9]{1,3}:){1,2}[0-9]{2}(\\.[0-9]{1,3})?[ \\t]\\PC{0,12}\n){0,4}|\\PC{0,60}") {
            if let Ok(chapters) = read_chapters(&text) {
                prop_assert_eq!(read_chapters(&write_chapters(&chapters)).unwrap(), chapters);
            }
        }
    }
}
