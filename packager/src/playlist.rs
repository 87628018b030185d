//! The text of media playlists (rfc8216bis, 4.4). m3u8-rs knows no low-latency tag and writes durations as `f32`, so the
//! live media playlist is written here; tests read it with foreign parsers.

use crate::rendition::Playlist;
use crate::shelf::{Edge, Listed, Shelf};
use crate::{Document, Part, Segment};
use media::MediaTime;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Parts are listed for this many target durations before the live edge (rfc8216bis, 6.2.2).
const PARTS_LISTED_TARGETS: i64 = 3;
/// The least rfc8216bis allows (4.4.3.8).
const SKIP_TARGETS: i64 = 6;
const HOLD_BACK_TARGETS: i64 = 3;
const PART_HOLD_BACK_PARTS: i64 = 3;

/// What is the same in all playlists of a session, from its first to its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// EXT-X-TARGETDURATION.
    pub target: MediaTime,
    /// PART-TARGET.
    pub part_target: MediaTime,
    /// Parts are listed; else whole segments alone.
    pub lists_parts: bool,
}

impl Header {
    fn playlist(&self, parts: bool, full: Document) -> Playlist {
        Playlist {
            last: None,
            last_segment: None,
            next_part: None,
            full,
            delta: None,
            part_target: if parts { self.part_target.to_duration() } else { Duration::ZERO },
            target: self.target.to_duration(),
            ended: false,
        }
    }
}

/// The low-latency playlist of a rendition. `base` is what its media's URIs begin with; `others` are the ids and edges of
/// the session's other renditions.
pub(crate) fn render(
    header: &Header,
    base: &str,
    shelf: &Shelf,
    next_msn: u64,
    others: &[(String, Option<Edge>)],
) -> Playlist {
    let full = body(header, base, shelf, next_msn, others, 0);
    let skip = skippable(header, shelf);
    let last_segment = whole(header, shelf).next_back().map(|l| l.segment.msn);
    let last = match header.lists_parts {
        true => shelf.edge().map(|e| (e.msn, e.part)),
        false => last_segment.map(|msn| (msn, 0)),
    };
    Playlist {
        last,
        last_segment,
        next_part: (header.lists_parts && !shelf.ended).then(|| hint(shelf, next_msn)),
        delta: (skip > 0 && !shelf.ended).then(|| Document::new(body(header, base, shelf, next_msn, others, skip))),
        ended: shelf.ended,
        ..header.playlist(header.lists_parts, Document::new(full))
    }
}

/// The MPEG-TS playlist of a rendition: whole segments up to `until`, which the audio has too.
pub(crate) fn render_ts(header: &Header, base: &str, shelf: &Shelf, next_msn: u64, until: Option<u64>) -> Playlist {
    let listed = || shelf.in_playlist().filter(|l| until.is_some_and(|u| l.segment.msn <= u));
    let mut out = String::with_capacity(256 + 160 * listed().count());
    out.push_str("#EXTM3U\n#EXT-X-VERSION:3\n");
    start(&mut out, header, shelf, next_msn);
    for entry in listed() {
        out.push_str(&entry.lead);
        let Segment { msn, duration, gap, .. } = entry.segment;
        put_tail(&mut out, base, &format!("{msn}.ts"), Fraction::of(duration), gap);
    }
    if shelf.ended {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    let last = listed().next_back().map(|l| l.segment.msn);
    Playlist {
        last: last.map(|msn| (msn, 0)),
        last_segment: last,
        ended: shelf.ended,
        ..header.playlist(false, Document::new(out))
    }
}

/// Tags that open a segment, without EXT-X-MAP.
pub(crate) fn lead(discontinuity: bool, wall: SystemTime) -> String {
    let mut out = String::with_capacity(80);
    put_lead(&mut out, discontinuity, Some(wall));
    out
}

/// Appends them.
pub(crate) fn put_lead(out: &mut String, discontinuity: bool, wall: Option<SystemTime>) {
    if discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if let Some(wall) = wall {
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", Date(wall));
    }
}

/// Appends the tag that names the init section of what follows.
pub(crate) fn put_map(out: &mut String, base: &str, generation: u64) {
    let _ = writeln!(out, "#EXT-X-MAP:URI=\"{base}init-{generation}.mp4\"");
}

/// The line of one part.
pub(crate) fn part_line(out: &mut String, base: &str, msn: u64, index: usize, part: &Part) {
    let _ = write!(out, "#EXT-X-PART:DURATION={},URI=\"{base}{msn}.{index}.m4s\"", Seconds(part.duration));
    if part.independent && !part.gap {
        out.push_str(",INDEPENDENT=YES");
    }
    if part.gap {
        out.push_str(",GAP=YES");
    }
    out.push('\n');
}

/// The lines that end a segment.
pub(crate) fn tail(base: &str, segment: &Segment) -> String {
    let mut out = String::with_capacity(64);
    put_tail(&mut out, base, &format!("{}.m4s", segment.msn), Fraction::of(segment.duration), segment.gap);
    out
}

/// Appends the lines that end a segment.
pub(crate) fn put_tail(out: &mut String, base: &str, file: &str, length: Fraction, gap: bool) {
    if gap {
        out.push_str("#EXT-X-GAP\n");
    }
    let _ = write!(out, "#EXTINF:{length},\n{base}{file}\n");
}

fn start(out: &mut String, header: &Header, shelf: &Shelf, next_msn: u64) {
    let _ = writeln!(out, "#EXT-X-TARGETDURATION:{}", header.target.as_millis() / 1000);
    let first = shelf.in_playlist().next().map(|l| l.segment.msn).or(shelf.open.as_ref().map(|o| o.msn));
    let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.unwrap_or(next_msn));
    let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", shelf.discontinuities);
    out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    if shelf.ended {
        // From here on it can never change, which is what VOD says (rfc8216bis, 4.4.3.5). EVENT would not be true: segments
        // may have been removed.
        out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
    }
}

/// How many segments a delta update may leave out: those that begin at least CAN-SKIP-UNTIL before the last one's end.
fn skippable(header: &Header, shelf: &Shelf) -> usize {
    let mut kept = MediaTime::ZERO;
    let needed = whole(header, shelf).rev().take_while(|l| {
        let more = kept < times(header.target, SKIP_TARGETS);
        kept += l.segment.duration;
        more
    });
    whole(header, shelf).count() - needed.count()
}

fn hint(shelf: &Shelf, next_msn: u64) -> (u64, u32) {
    shelf.open.as_ref().map_or((next_msn, 0), |o| (o.msn, o.parts.len() as u32))
}

fn body(
    header: &Header,
    base: &str,
    shelf: &Shelf,
    next_msn: u64,
    others: &[(String, Option<Edge>)],
    skip: usize,
) -> String {
    let mut out = String::with_capacity(12 * 1024);
    out.push_str("#EXTM3U\n#EXT-X-VERSION:9\n");
    start(&mut out, header, shelf, next_msn);
    control(&mut out, header);
    if skip > 0 {
        let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skip}");
    }
    let total = shelf.in_playlist().fold(MediaTime::ZERO, |sum, l| sum + l.segment.duration);
    let mut after = total + shelf.open.as_ref().map_or(MediaTime::ZERO, |o| o.end() - o.start);
    // A delta update names its init section again: Shaka 5.2 knows no other for the segments in it.
    let mut map = None;
    for (index, entry) in shelf.in_playlist().enumerate() {
        after -= entry.segment.duration;
        if index >= skip {
            let parts = header.lists_parts && after <= times(header.target, PARTS_LISTED_TARGETS);
            write_segment(&mut out, base, entry, map, parts);
            if !is_held_open(header, shelf, entry) {
                out.push_str(&entry.tail);
            }
            map = entry.segment.init;
        }
    }
    if let Some(open) = shelf.open.as_ref().filter(|o| header.lists_parts && !o.parts.is_empty()) {
        write_head(&mut out, base, &open.lead, open.init, map);
        out.push_str(&open.lines);
    }
    if shelf.ended {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    if shelf.ended || !header.lists_parts {
        return out;
    }
    let (msn, part) = hint(shelf, next_msn);
    let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{base}{msn}.{part}.m4s\"");
    for (other, edge) in others {
        if let Some(edge) = edge {
            let _ = writeln!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"{other}.m3u8\",LAST-MSN={},LAST-PART={}",
                edge.msn, edge.part
            );
        }
    }
    out
}

/// What the server can do, and how far players shall stay behind.
fn control(out: &mut String, header: &Header) {
    let hold_back = Seconds(times(header.target, HOLD_BACK_TARGETS));
    let skip = Seconds(times(header.target, SKIP_TARGETS));
    if !header.lists_parts {
        let _ = writeln!(out, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={hold_back},CAN-SKIP-UNTIL={skip}");
        return;
    }
    let _ = writeln!(
        out,
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},HOLD-BACK={hold_back},CAN-SKIP-UNTIL={skip}",
        // Three times the rounded target, not three times the target, rounded.
        Fraction(rounded(header.part_target) * PART_HOLD_BACK_PARTS),
    );
    let _ = writeln!(out, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(header.part_target));
}

fn write_segment(out: &mut String, base: &str, entry: &Listed, map: Option<u32>, parts: bool) {
    write_head(out, base, &entry.lead, entry.segment.init, map);
    if parts {
        out.push_str(&entry.parts);
    }
}

/// The segments listed as whole.
fn whole<'a>(header: &Header, shelf: &'a Shelf) -> impl DoubleEndedIterator<Item = &'a Listed> + Clone {
    shelf.in_playlist().filter(move |entry| !is_held_open(header, shelf, entry))
}

/// Whether a segment that is complete is listed by its parts alone, until there is a part of the next one.
///
/// hls.js 1.7 takes a whole segment of which at most 0.2 s are missing in its buffer for loaded. So who was still loading the
/// part before the last when the segment was listed as whole waited for ever for what is behind it: four of six players
/// within 80 s of irregular key frames, and with B-frames, which put the buffer's end a frame or two ahead of the part's,
/// even a last part of usual length is below 0.2 s.
fn is_held_open(header: &Header, shelf: &Shelf, entry: &Listed) -> bool {
    let is_newest = shelf.segments.back().is_some_and(|l| l.segment.msn == entry.segment.msn);
    let has_next = shelf.open.as_ref().is_some_and(|open| !open.parts.is_empty());
    header.lists_parts && is_newest && !has_next && !shelf.ended && !entry.segment.gap
}

fn write_head(out: &mut String, base: &str, lead: &str, init: Option<u32>, map: Option<u32>) {
    out.push_str(lead);
    if let Some(generation) = init.filter(|i| Some(*i) != map) {
        put_map(out, base, generation.into());
    }
}

fn times(time: MediaTime, count: i64) -> MediaTime {
    MediaTime::from_ticks(time.ticks() * count)
}

/// Seconds with five decimals. All durations and targets go through the same rounding, so none can exceed a target it does
/// not exceed in ticks.
struct Seconds(MediaTime);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Fraction(rounded(self.0)).fmt(f)
    }
}

/// A count of 10 µs, written as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fraction(i64);

impl Fraction {
    /// The nearest to a time.
    pub(crate) fn of(time: MediaTime) -> Self {
        Self(rounded(time))
    }
}

impl std::ops::Sub for Fraction {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::fmt::Display for Fraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:05}", self.0 / 100_000, self.0 % 100_000)
    }
}

/// To the nearest 10 µs, as their count.
fn rounded(time: MediaTime) -> i64 {
    (time.ticks() * 10 + 4) / 9
}

/// ISO 8601 with milliseconds, UTC. Before 1970 it is 1970.
struct Date(SystemTime);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_millis() as i64;
        let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
        // Howard Hinnant's civil_from_days: years that begin in March, in cycles of 400.
        let shifted = days + 719_468;
        let (cycle, of_cycle) = (shifted / 146_097, shifted % 146_097);
        let year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
        let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, millis) = (of_day / 1000 % 60, of_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |secs, millis: u32| Date(UNIX_EPOCH + Duration::new(secs, millis * 1_000_000)).to_string();
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_795_239_944, 123), "2026-11-21T05:45:44.123Z");
        assert_eq!(at(4_107_542_399, 999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn seconds_keep_ten_microseconds() {
        assert_eq!(Seconds(MediaTime::from_ticks(30_000)).to_string(), "0.33333");
        assert_eq!(Seconds(MediaTime::from_ticks(30_720)).to_string(), "0.34133");
        assert_eq!(Seconds(MediaTime::from_millis(2000)).to_string(), "2.00000");
    }
}
