//! Chapters as WebVTT, for players that know nothing of us.

use super::storyboard::Stamp;
use media::MediaTime;
use std::fmt::Write as _;
use store::Chapter;

/// The WebVTT of a recording's chapters; `None` when it has none. What begins behind its end is left out.
pub fn text(chapters: &[Chapter], length: MediaTime) -> Option<String> {
    let begin = |chapter: &Chapter| MediaTime::from_millis(i64::try_from(chapter.at_ms).unwrap_or(i64::MAX / 1_000));
    let mut text = String::from("WEBVTT\n");
    for (at, chapter) in chapters.iter().enumerate() {
        let from = begin(chapter);
        let until = chapters.get(at + 1).map_or(length, |next| begin(next).min(length));
        if from < until {
            let (from, until) = (Stamp(from), Stamp(until));
            let _ = write!(text, "\n{from} --> {until}\n{}\n", escaped(&chapter.title));
        }
    }
    text.contains("-->").then_some(text)
}

/// Cue text (WebVTT 3.3): these three begin something else, and an arrow would be a time.
fn escaped(title: &str) -> String {
    title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter(at_ms: u64, title: &str) -> Chapter {
        Chapter { at_ms, title: title.into() }
    }

    #[test]
    fn each_chapter_lasts_until_the_next_and_the_last_to_the_end() {
        let all = [chapter(0, "Doors"), chapter(65_500, "A --> B <&>"), chapter(90_000, "Never")];
        assert_eq!(
            text(&all, MediaTime::from_millis(80_000)).unwrap(),
            "WEBVTT\n\n00:00:00.000 --> 00:01:05.500\nDoors\n\n\
             00:01:05.500 --> 00:01:20.000\nA --&gt; B &lt;&amp;&gt;\n"
        );
        assert_eq!(text(&[], MediaTime::from_millis(80_000)), None);
        assert_eq!(text(&all[2..], MediaTime::from_millis(80_000)), None);
    }
}
