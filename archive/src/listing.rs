//! Playlists of a timeline.
//!
//! A playlist's entries are the numbers that any rendition has, so all renditions list the same ones; what one lacks is
//! EXT-X-GAP. Numbers that none has (a server that was away skips one or two, a disk that was full many) are left out, and a
//! discontinuity stands there: players that meet a gap in all renditions stop or wait (Shaka 5.2, hls.js 1.7, VLC 3). So the place of
//! an entry (EXT-X-MEDIA-SEQUENCE) is its number less those left out before it. Each reel notes its first one, so the places stay what
//! they are while older reels go and when the server is started again.

use crate::timeline::{State, Strip};
use crate::{Segment, Timeline};
use media::MediaTime;
use media::VideoCodec;
use packager::vod::{self, BitRate, Container, Entry, Head, Kind, Recorded};
use packager::{Coding, Index};
use std::ops::Range;

impl Timeline {
    /// The media playlist of a rendition over the segments whose numbers lie in `span`, as far as they are in
    /// [`Timeline::span`]. `None` when there is no such rendition, or nothing to list.
    ///
    /// A [`Kind::Event`] playlist is true only while `span` begins at the same number and no sweep takes it away. It
    /// allocates about 200 bytes for each segment, and takes about half a millisecond for a thousand.
    pub fn media_playlist(&self, rendition: &str, span: Range<u64>, kind: Kind) -> Option<String> {
        self.playlist(rendition, span, kind, Container::Cmaf)
    }

    /// The same as MPEG-TS, whose segments [`packager::transport_stream`] makes. `None` for HEVC too, and for sound beside pictures.
    pub fn ts_playlist(&self, rendition: &str, span: Range<u64>, kind: Kind) -> Option<String> {
        self.playlist(rendition, span, kind, Container::Ts)
    }

    fn playlist(&self, rendition: &str, span: Range<u64>, kind: Kind, container: Container) -> Option<String> {
        let (head, entries) = {
            let state = self.state();
            let line = state.line(rendition)?;
            if container == Container::Ts && !is_muxed(&state, line, &span) {
                return None;
            }
            let (head, own) = entries(&state, line, &span, kind)?;
            // Pictures come first.
            let first = state.lines.first().filter(|first| kind == Kind::Vod && first.id != rendition);
            match first.and_then(|first| entries(&state, first, &span, kind)) {
                Some((_, first)) => {
                    (head, levelled(own, first.iter().fold(MediaTime::ZERO, |sum, e| sum + e.duration)))
                }
                None => (head, own),
            }
        };
        Some(vod::media(rendition, &Head { container, ..head }, &entries))
    }

    /// The multivariant playlist over the same segments, of the wanted renditions in one codec and the sound: for `index.m3u8`
    /// H.264, for `hevc.m3u8` HEVC, for `ts.m3u8` H.264 with the sound in each. Its bit rates are measured; a rendition that changed its size is described as it was last.
    /// Renditions without any media there are left out. `folder` stands in front of the media playlists' URIs. `None` when nothing
    /// is left.
    pub fn multivariant(
        &self,
        folder: &str,
        index: Index,
        span: Range<u64>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let recorded: Vec<Recorded> = {
            let state = self.state();
            let span = clip(&state, &span);
            let target = state.reels.iter().map(|reel| reel.target).max()?;
            let describe = |line: &Strip| -> Option<Recorded> {
                let has_media = |segment: &&Segment| segment.length > 0;
                let last = line.within(&span).rev().find(has_media)?;
                let coding = line.init(last.init()?)?.coding.clone();
                let sizes = line.within(&span).map(|s| (s.length as usize, s.duration(), s.gap));
                Some(Recorded { id: line.id.clone(), coding, rate: BitRate::measure(target, sizes) })
            };
            state.lines.iter().filter(|line| is_wanted(&line.id)).filter_map(describe).collect()
        };
        vod::multivariant(folder, index, &recorded)
    }
}

/// A rendition can be MPEG-TS: it has H.264, or sound in a recording that has nothing else.
fn is_muxed(state: &State, line: &Strip, span: &Range<u64>) -> bool {
    let coding =
        |line: &Strip| line.within(&clip(state, span)).rev().find_map(|s| Some(line.init(s.init()?)?.coding.clone()));
    match coding(line) {
        Some(Coding::Video(coding)) => coding.codec == VideoCodec::H264,
        Some(Coding::Audio(_)) => state.lines.iter().all(|other| !matches!(coding(other), Some(Coding::Video(_)))),
        None => false,
    }
}

fn clip(state: &State, span: &Range<u64>) -> Range<u64> {
    let whole = state.span();
    span.start.max(whole.start)..span.end.min(whole.end)
}

/// Behind a break sound begins up to a frame after the segment it is listed with, and what was listed before it ends as much later: by
/// so much at most the lengths of neighbours differ from the time between their beginnings.
const OVERLAP_MAX: MediaTime = MediaTime::from_millis(100);

/// How long an entry is listed: until the next one begins, if that is nearly where it ends. So the lengths of sound and of pictures
/// have the same sum, by which players place them.
fn listed(segment: &Segment, next: Option<&Segment>) -> MediaTime {
    let follows = next.filter(|next| next.msn == segment.msn + 1);
    let until_next = follows.map_or(segment.duration(), |next| next.start - segment.start);
    let off = until_next - segment.duration();
    let is_near = off <= OVERLAP_MAX && MediaTime::ZERO - OVERLAP_MAX <= off && until_next > MediaTime::ZERO;
    if is_near { until_next } else { segment.duration() }
}

/// Of a recording all renditions are listed as equally long as the first one: by the shortest sum players cut the others. What sound is
/// longer or shorter in the end is a frame or two, which its last entry takes.
fn levelled(mut entries: Vec<Entry>, whole: MediaTime) -> Vec<Entry> {
    let sum = entries.iter().fold(MediaTime::ZERO, |sum, entry| sum + entry.duration);
    let off = whole - sum;
    if let Some(last) = entries.last_mut()
        && off <= OVERLAP_MAX
        && MediaTime::ZERO - OVERLAP_MAX <= off
        && last.duration + off > MediaTime::ZERO
    {
        last.duration += off;
    }
    entries
}

fn entries(state: &State, line: &Strip, span: &Range<u64>, kind: Kind) -> Option<(Head, Vec<Entry>)> {
    let span = clip(state, span);
    // A number that this rendition lacks is as long as another one has it.
    let of = |msn| line.find(msn).or_else(|| state.lines.iter().find_map(|other| other.find(msn))).copied();
    let mut head = None;
    let mut entries = Vec::new();
    for reel in &state.reels {
        for msn in reel.name.first_msn.max(span.start)..reel.until_msn.min(span.end) {
            let own = line.find(msn);
            let Some(segment) = of(msn) else { continue };
            head.get_or_insert_with(|| Head {
                kind,
                container: Container::Cmaf,
                target: reel.target,
                sequence: state.sequence(reel, msn),
                discontinuity_sequence: state.discontinuities(reel, msn),
            });
            entries.push(Entry {
                msn,
                // What was said of an entry while there was no next one stays.
                duration: match kind {
                    Kind::Vod => listed(&segment, of(msn + 1).as_ref()),
                    Kind::Event | Kind::Rewind => segment.duration(),
                },
                wall: segment.wall(),
                discontinuity: state.breaks_before(msn),
                gap: own.is_none_or(|segment| segment.gap),
                init: own.and_then(Segment::init),
            });
        }
    }
    Some((head?, entries))
}

#[cfg(test)]
mod tests;
