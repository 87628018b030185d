//! A reader of playlists that shares nothing with the writer: lines and attributes, as RFC 8216bis names them.

use std::collections::BTreeMap;

/// The attributes of one tag, quotes taken off.
pub type Attributes = BTreeMap<String, String>;

/// A multivariant playlist.
#[derive(Debug, Clone, Default)]
pub struct Multivariant {
    /// One per EXT-X-STREAM-INF, with the URI line under `"URI"`.
    pub variants: Vec<Attributes>,
    /// One per EXT-X-MEDIA.
    pub media: Vec<Attributes>,
}

/// A part of a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Where it is, relative to the playlist.
    pub uri: String,
    /// Seconds.
    pub duration: f64,
    /// Whether it begins with an IDR.
    pub independent: bool,
    /// Whether there is nothing to fetch.
    pub gap: bool,
}

/// A segment, complete or (at the end of a live playlist) made of its parts so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// Its media sequence number.
    pub number: u64,
    /// Where it is; empty while it is not complete.
    pub uri: String,
    /// Seconds; 0 while it is not complete.
    pub duration: f64,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// Whether there is nothing to fetch.
    pub gap: bool,
    /// The init segment that holds for it.
    pub map: String,
    /// EXT-X-PROGRAM-DATE-TIME as written, when it stands before this segment.
    pub wall: Option<String>,
    /// Its parts, while they are listed.
    pub parts: Vec<Part>,
}

/// A media playlist.
#[derive(Debug, Clone, Default)]
pub struct Media {
    /// EXT-X-TARGETDURATION in seconds.
    pub target: u64,
    /// PART-TARGET in seconds, 0 without parts.
    pub part_target: f64,
    /// EXT-X-SERVER-CONTROL.
    pub control: Attributes,
    /// EXT-X-MEDIA-SEQUENCE.
    pub sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    /// How many segments EXT-X-SKIP leaves out.
    pub skipped: u64,
    /// All segments; the last may be incomplete.
    pub segments: Vec<Segment>,
    /// The URI of EXT-X-PRELOAD-HINT.
    pub hint: Option<String>,
    /// One per EXT-X-RENDITION-REPORT.
    pub reports: Vec<Attributes>,
    /// Whether EXT-X-ENDLIST is there.
    pub ended: bool,
}

impl Media {
    /// The complete segments.
    pub fn complete(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.uri.is_empty())
    }

    /// Media sequence number and part index of the newest part, or of the last whole segment when none is listed.
    pub fn newest(&self) -> Option<(u64, usize)> {
        self.segments.last().map(|segment| (segment.number, segment.parts.len()))
    }
}

/// Reads a multivariant playlist.
///
/// # Panics
/// When the text is not a playlist.
#[track_caller]
pub fn multivariant(text: &str) -> Multivariant {
    assert!(text.starts_with("#EXTM3U"), "not a playlist:\n{text}");
    let mut all = Multivariant::default();
    let mut open: Option<Attributes> = None;
    for line in text.lines() {
        if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            open = Some(attributes(list));
        } else if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
            all.media.push(attributes(list));
        } else if !line.starts_with('#')
            && !line.is_empty()
            && let Some(mut variant) = open.take()
        {
            variant.insert("URI".to_owned(), line.to_owned());
            all.variants.push(variant);
        }
    }
    all
}

/// Reads a media playlist.
///
/// # Panics
/// When the text is not a playlist or a number in it is none.
#[track_caller]
pub fn media(text: &str) -> Media {
    assert!(text.starts_with("#EXTM3U"), "not a playlist:\n{text}");
    let mut all = Media::default();
    let mut number = 0;
    let mut map = String::new();
    let mut segment = Segment::default();
    let seconds = |value: &str| value.parse::<f64>().unwrap_or_else(|_| panic!("{value:?} is no duration in:\n{text}"));
    for line in text.lines() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-TARGETDURATION" => all.target = value.parse().expect("a whole number of seconds"),
            "#EXT-X-PART-INF" => all.part_target = seconds(&attributes(value)["PART-TARGET"]),
            "#EXT-X-SERVER-CONTROL" => all.control = attributes(value),
            "#EXT-X-MEDIA-SEQUENCE" => {
                number = value.parse().expect("a sequence number");
                all.sequence = number;
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => all.discontinuity_sequence = value.parse().expect("a count"),
            "#EXT-X-SKIP" => {
                all.skipped = attributes(value)["SKIPPED-SEGMENTS"].parse().expect("a count");
                number += all.skipped;
            }
            "#EXT-X-MAP" => map = attributes(value)["URI"].clone(),
            "#EXT-X-DISCONTINUITY" => segment.discontinuity = true,
            "#EXT-X-GAP" => segment.gap = true,
            "#EXT-X-PROGRAM-DATE-TIME" => segment.wall = Some(value.to_owned()),
            "#EXT-X-PART" => {
                let part = attributes(value);
                let is = |name: &str| part.get(name).is_some_and(|v| v == "YES");
                segment.parts.push(Part {
                    uri: part["URI"].clone(),
                    duration: seconds(&part["DURATION"]),
                    independent: is("INDEPENDENT"),
                    gap: is("GAP"),
                });
            }
            "#EXTINF" => segment.duration = seconds(value.split(',').next().unwrap_or_default()),
            "#EXT-X-PRELOAD-HINT" => all.hint = attributes(value).get("URI").cloned(),
            "#EXT-X-RENDITION-REPORT" => all.reports.push(attributes(value)),
            "#EXT-X-ENDLIST" => all.ended = true,
            _ if line.starts_with('#') || line.is_empty() => {}
            _ => {
                let whole = Segment { number, uri: line.to_owned(), map: map.clone(), ..std::mem::take(&mut segment) };
                all.segments.push(whole);
                number += 1;
            }
        }
    }
    if !segment.parts.is_empty() {
        all.segments.push(Segment { number, map, ..segment });
    }
    all
}

/// EXT-X-PROGRAM-DATE-TIME as milliseconds since 1970.
///
/// # Panics
/// When it is not as RFC 3339 has it, in UTC.
#[track_caller]
pub fn wall_ms(text: &str) -> i64 {
    let number = |from: usize, to: usize| {
        text.get(from..to).and_then(|n| n.parse::<i64>().ok()).unwrap_or_else(|| panic!("{text:?} is no date"))
    };
    assert!(text.ends_with('Z'), "{text:?} is not in UTC");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60_000 + number(17, 19) * 1_000 + number(20, 23)
}

/// Splits `A=1,B="x,y"` at the commas outside quotes.
fn attributes(list: &str) -> Attributes {
    let mut all = Attributes::new();
    let mut rest = list;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            Some((value, left)) => (value, left),
            None => after.find(',').map_or((after, ""), |comma| after.split_at(comma)),
        };
        all.insert(name.trim_start_matches(',').to_owned(), value.to_owned());
        rest = left;
    }
    all
}

/// What a relative `uri` in the playlist at `base` (a path without query) stands for.
pub fn resolve(base: &str, uri: &str) -> String {
    if uri.starts_with('/') || uri.contains("://") {
        return uri.to_owned();
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{uri}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_latency_playlist_is_read_whole() {
        let text = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=0.333\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n#EXT-X-MEDIA-SEQUENCE:7\n\
            #EXT-X-MAP:URI=\"a/init-0.mp4\"\n#EXTINF:2.00000,\na/7.m4s\n#EXT-X-DISCONTINUITY\n\
            #EXT-X-PART:DURATION=0.333,URI=\"a/8.0.m4s\",INDEPENDENT=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a/8.1.m4s\"\n";
        let read = media(text);
        assert_eq!((read.target, read.segments.len(), read.newest()), (4, 2, Some((8, 1))));
        assert_eq!((read.segments[0].duration, read.segments[0].map.as_str()), (2.0, "a/init-0.mp4"));
        assert!(read.segments[1].discontinuity && read.segments[1].parts[0].independent);
        assert_eq!(read.hint.as_deref(), Some("a/8.1.m4s"));
    }

    #[test]
    fn attributes_keep_commas_inside_quotes() {
        let variant = attributes("BANDWIDTH=800000,CODECS=\"avc1.4d401e,mp4a.40.2\",FRAME-RATE=30.000");
        assert_eq!(variant["CODECS"], "avc1.4d401e,mp4a.40.2");
        assert_eq!(variant["FRAME-RATE"], "30.000");
    }

    #[test]
    fn dates_are_milliseconds() {
        assert_eq!(wall_ms("1970-01-01T00:00:00.007Z"), 7);
        assert_eq!(wall_ms("2026-11-21T05:45:44.123Z"), 1_795_239_944_123);
        assert_eq!(wall_ms("2024-02-29T23:59:59.999Z"), 1_709_251_199_999);
    }

    #[test]
    fn relative_addresses_start_at_the_playlist() {
        assert_eq!(resolve("/live/x/s-1/720p.m3u8", "720p/4.m4s"), "/live/x/s-1/720p/4.m4s");
    }
}
