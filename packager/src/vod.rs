//! The text of playlists over what was recorded (rfc8216bis, 4.4). What stands in them is the archive's to say; durations,
//! dates and tags are written by the same code as the live playlists'.
//!
//! URIs are relative: `RENDITION.m3u8`, below a folder if that is wanted, and in it `RENDITION/init-GEN.mp4` and
//! `RENDITION/MSN.m4s`; as MPEG-TS `RENDITION.ts.m3u8`, and in it `RENDITION/MSN.ts`.

use crate::bandwidth::Meter;
use crate::multivariant::{self, Audio, Declared, Variant};
use crate::playlist::{Fraction, put_lead, put_map, put_tail};
use crate::{Coding, Index};
use media::{MediaTime, VideoCodec};
use std::fmt::Write;
use std::time::SystemTime;

/// EXT-X-GAP needs 8 (rfc8216bis, 8).
const VERSION: u8 = 8;
/// What old players know.
const VERSION_TS: u8 = 3;
/// Bytes an entry usually takes: date, length and URI.
const ENTRY_BYTES: usize = 110;

/// What may happen to a media playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing; it ends with EXT-X-ENDLIST.
    Vod,
    /// Segments are added at its end, none goes.
    Event,
    /// Segments are added at its end and go at its beginning.
    Rewind,
}

/// What the segments of a media playlist are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `MSN.m4s` behind an init section.
    Cmaf,
    /// `MSN.ts`, each by itself and with the sound.
    Ts,
}

/// What a media playlist says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What may happen to it.
    pub kind: Kind,
    /// What it lists.
    pub container: Container,
    /// The target duration of the session; EXT-X-TARGETDURATION is more when an entry is longer.
    pub target: MediaTime,
    /// EXT-X-MEDIA-SEQUENCE: the first entry's place among all there ever were.
    pub sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE: the discontinuities before the first entry.
    pub discontinuity_sequence: u64,
}

/// One segment in a media playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The number in its URI.
    pub msn: u64,
    /// EXTINF, above zero.
    pub duration: MediaTime,
    /// EXT-X-PROGRAM-DATE-TIME, which stands before the first entry alone unless entries go at the beginning.
    pub wall: SystemTime,
    /// EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXT-X-GAP: it can't be fetched.
    pub gap: bool,
    /// The init section it needs; `None` for a gap that has none.
    pub init: Option<u64>,
}

/// Writes the media playlist of a rendition. 10,000 entries take about 4 ms and 1.2 MB (release, on one core of two).
pub fn media(rendition: &str, head: &Head, entries: &[Entry]) -> String {
    let base = format!("{rendition}/");
    let mut out = String::with_capacity(256 + entries.len() * (ENTRY_BYTES + base.len()));
    // Each EXTINF, rounded to whole seconds, must not be above the target (rfc8216bis, 4.4.3.1).
    let longest = entries.iter().map(|entry| entry.duration).max().unwrap_or_default().max(head.target);
    let target = (longest.ticks() + MediaTime::HZ / 2) / MediaTime::HZ;
    // Where gaps may come and go, the version must not.
    let has_gaps = head.kind != Kind::Vod || entries.iter().any(|entry| entry.gap);
    let version = if head.container == Container::Ts && !has_gaps { VERSION_TS } else { VERSION };
    let _ = write!(out, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}\n");
    out.push_str(match head.kind {
        Kind::Vod => "#EXT-X-PLAYLIST-TYPE:VOD\n",
        Kind::Event => "#EXT-X-PLAYLIST-TYPE:EVENT\n",
        Kind::Rewind => "",
    });
    let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", head.sequence);
    let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", head.discontinuity_sequence);
    out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    let (mut map, mut ends) = (None, MediaTime::ZERO);
    for (at, entry) in entries.iter().enumerate() {
        // Live dates keep up with the clock by some milliseconds a segment, and behind a break they jump. Shaka 5.2 places the segments of
        // a recording by them and then waits for ever in front of its end, so only the beginning has one.
        let wall = Some(entry.wall).filter(|_| at == 0 || head.kind == Kind::Rewind);
        put_lead(&mut out, entry.discontinuity, wall);
        let init = entry.init.filter(|_| head.container == Container::Cmaf);
        if let Some(generation) = init.filter(|init| Some(*init) != map) {
            put_map(&mut out, &base, generation);
            map = entry.init;
        }
        // Rounded where they end, so that equal sums stay equal: Shaka 5.2 cuts all renditions of a recording to the shortest sum and
        // waits for ever when another one then seems to have a microsecond more.
        let begins = Fraction::of(ends);
        ends += entry.duration;
        let length = if head.kind == Kind::Vod { Fraction::of(ends) - begins } else { Fraction::of(entry.duration) };
        let suffix = if head.container == Container::Cmaf { "m4s" } else { "ts" };
        put_tail(&mut out, &base, &format!("{}.{suffix}", entry.msn), length, entry.gap);
    }
    if head.kind == Kind::Vod {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}

/// A measured bit rate in bits per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BitRate {
    /// The largest over any run of segments of about a target duration (rfc8216bis, 4.1 "peak segment bit rate").
    pub peak_bps: f64,
    /// Over everything that is no gap.
    pub average_bps: f64,
}

impl BitRate {
    /// Measures segments in order: bytes, length, and whether it is a gap, which does not count.
    pub fn measure(target: MediaTime, segments: impl IntoIterator<Item = (usize, MediaTime, bool)>) -> Self {
        let mut meter = Meter::new(target);
        for (bytes, duration, gap) in segments {
            meter.segment(bytes, duration, gap);
        }
        Self { peak_bps: meter.peak_bps(), average_bps: meter.average_bps() }
    }
}

/// A rendition that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its name in URIs.
    pub id: String,
    /// How it is coded.
    pub coding: Coding,
    /// Its measured rate.
    pub rate: BitRate,
}

/// Writes the multivariant playlist of the renditions whose pictures are of one codec, as players don't change between two,
/// with the sound beside them, or in them. `folder` stands in front of the media playlists' URIs. Sound alone stands in those for
/// H.264. `None` when there is nothing to list.
pub fn multivariant(folder: &str, index: Index, recorded: &[Recorded]) -> Option<String> {
    let codec = if index == Index::Hevc { VideoCodec::Hevc } else { VideoCodec::H264 };
    let declared = |rate: &BitRate| Declared::measured(rate.peak_bps, rate.average_bps);
    let (mut variants, mut audio, mut has_video) = (Vec::new(), None, false);
    for rendition in recorded {
        let (id, declared) = (rendition.id.clone(), declared(&rendition.rate));
        match &rendition.coding {
            Coding::Video(coding) => {
                has_video = true;
                if coding.codec == codec {
                    variants.push(Variant { id, coding: coding.clone(), declared });
                }
            }
            Coding::Audio(_) if audio.is_some() => {}
            Coding::Audio(coding) => audio = Some(Audio { id, coding: coding.clone(), declared }),
        }
    }
    let is_listed = if has_video { !variants.is_empty() } else { codec == VideoCodec::H264 };
    // Whether there are captions in the pictures is not recorded; players that look for them find them.
    let is_ts = index == Index::Ts;
    is_listed.then(|| multivariant::render(folder, &variants, audio.as_ref(), None, is_ts)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioCoding, VideoCoding};
    use media::FrameRate;
    use std::time::{Duration, UNIX_EPOCH};

    fn entry(msn: u64, millis: i64) -> Entry {
        let (duration, wall) = (MediaTime::from_millis(millis), UNIX_EPOCH + Duration::from_secs(msn));
        Entry { msn, duration, wall, discontinuity: false, gap: false, init: Some(5) }
    }

    fn head(kind: Kind) -> Head {
        let (target, container) = (MediaTime::from_millis(2000), Container::Cmaf);
        Head { kind, container, target, sequence: 5, discontinuity_sequence: 1 }
    }

    #[test]
    fn every_tag_stands_where_it_belongs() {
        let entries = [
            entry(5, 2000),
            Entry { gap: true, init: None, ..entry(6, 1500) },
            entry(7, 2400),
            Entry { discontinuity: true, init: Some(9), ..entry(9, 333) },
        ];
        let text = media("720p", &head(Kind::Vod), &entries);
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:05.000Z\n#EXT-X-MAP:URI=\"720p/init-5.mp4\"\n\
             #EXTINF:2.00000,\n720p/5.m4s\n\
             #EXT-X-GAP\n#EXTINF:1.50000,\n720p/6.m4s\n\
             #EXTINF:2.40000,\n720p/7.m4s\n\
             #EXT-X-DISCONTINUITY\n\
             #EXT-X-MAP:URI=\"720p/init-9.mp4\"\n#EXTINF:0.33300,\n720p/9.m4s\n\
             #EXT-X-ENDLIST\n"
        );
    }

    #[test]
    fn mpeg_ts_needs_no_init_section_and_an_old_version_unless_there_are_gaps() {
        let of = |entries: &[Entry]| media("720p", &Head { container: Container::Ts, ..head(Kind::Vod) }, entries);
        let entries = [entry(5, 2000), Entry { discontinuity: true, init: Some(9), ..entry(9, 333) }];
        assert_eq!(
            of(&entries),
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:05.000Z\n\
             #EXTINF:2.00000,\n720p/5.ts\n\
             #EXT-X-DISCONTINUITY\n#EXTINF:0.33300,\n720p/9.ts\n\
             #EXT-X-ENDLIST\n"
        );
        let gap = Entry { gap: true, init: None, ..entry(10, 1500) };
        assert!(of(&[entries[0], gap]).contains("#EXT-X-VERSION:8\n"));
        let event = media("720p", &Head { container: Container::Ts, ..head(Kind::Event) }, &entries);
        assert!(event.contains("#EXT-X-VERSION:8\n"), "the first gap would change it");
    }

    #[test]
    fn only_what_has_ended_says_so() {
        for (kind, words) in [(Kind::Event, "TYPE:EVENT"), (Kind::Rewind, "TARGETDURATION:2\n#EXT-X-MEDIA")] {
            let text = media("audio", &head(kind), &[entry(5, 2000)]);
            assert!(text.contains(words) && !text.contains("ENDLIST"), "{text}");
        }
    }

    #[test]
    fn each_entry_has_a_date_where_the_first_one_goes() {
        let dates = |kind| media("audio", &head(kind), &[entry(5, 2000), entry(6, 2000)]).matches("DATE-TIME").count();
        assert_eq!([dates(Kind::Vod), dates(Kind::Event), dates(Kind::Rewind)], [1, 1, 2]);
    }

    #[test]
    fn a_segment_longer_than_the_target_raises_it() {
        let text = media("audio", &head(Kind::Vod), &[entry(5, 2000), entry(6, 4600)]);
        assert!(text.contains("#EXT-X-TARGETDURATION:5\n"), "{text}");
    }

    fn recorded(id: &str, coding: Coding) -> Recorded {
        let segments = [(250_000, MediaTime::from_millis(2000), false), (500_000, MediaTime::from_millis(2000), false)];
        Recorded { id: id.into(), coding, rate: BitRate::measure(MediaTime::from_millis(2000), segments) }
    }

    fn video(codec: VideoCodec) -> Coding {
        let (codecs, frame_rate) = ("avc1.64001f".into(), FrameRate { num: 30, den: 1 });
        Coding::Video(VideoCoding { codec, codecs, width: 1280, height: 720, frame_rate, transfer: 16 })
    }

    #[test]
    fn codecs_of_pictures_have_lists_of_their_own() {
        let audio = || Coding::Audio(AudioCoding { codecs: "mp4a.40.2".into(), channels: 2, sample_rate: 48_000 });
        let all = [
            recorded("source", video(VideoCodec::Hevc)),
            recorded("720p", video(VideoCodec::H264)),
            recorded("audio", audio()),
        ];
        let h264 = multivariant("", Index::H264, &all).expect("one variant");
        assert!(h264.contains("720p.m3u8") && !h264.contains("source.m3u8") && h264.contains("GROUP-ID=\"audio\""));
        assert!(h264.contains("BANDWIDTH=4000000,AVERAGE-BANDWIDTH=3000000"), "{h264}");
        assert!(h264.contains("VIDEO-RANGE=PQ") && !h264.contains("CLOSED-CAPTIONS"), "{h264}");
        let hevc = multivariant("", Index::Hevc, &all).expect("one variant");
        assert!(hevc.contains("source.m3u8") && !hevc.contains("720p.m3u8"));
        assert_eq!(multivariant("", Index::Hevc, &all[1..]), None);
        let alone = multivariant("", Index::H264, &all[2..]).expect("sound alone");
        assert!(alone.contains("#EXT-X-STREAM-INF") && alone.contains("BANDWIDTH=2000000"), "{alone}");
        assert_eq!(multivariant("", Index::Hevc, &all[2..]), None);
        assert_eq!(multivariant("", Index::H264, &[]), None);
        let ts = multivariant("", Index::Ts, &all).expect("one variant");
        assert!(ts.contains("720p.ts.m3u8") && !ts.contains("source") && !ts.contains("EXT-X-MEDIA:"), "{ts}");
        assert!(ts.contains("CODECS=\"avc1.64001f,mp4a.40.2\""), "{ts}");
        assert_eq!(multivariant("", Index::Ts, &all[..1]), None, "HEVC is not muxed");
    }
}
