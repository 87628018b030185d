//! What a playlist request with delivery directives is owed now (rfc8216bis section 6.2.5.2). Pure.

use crate::cache::Keep;
use crate::directives::Until;
use packager::Playlist;
use std::time::Duration;

/// Where a playlist stands; the few facts of [`Playlist`] the decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    last: Option<(u64, u32)>,
    last_segment: Option<u64>,
    next: Option<(u64, u32)>,
    part_target: Duration,
    target: Duration,
    ended: bool,
}

/// What to do with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Answer with the playlist as it is, to be kept like this.
    Now(Keep),
    /// Hold it until the playlist changes, then ask again.
    Wait,
    /// 400 at once: it asks for more than two segments ahead, or too many parts ahead.
    TooFar,
}

impl From<&Playlist> for Edge {
    fn from(playlist: &Playlist) -> Edge {
        Edge {
            last: playlist.last,
            last_segment: playlist.last_segment,
            next: playlist.next_part,
            part_target: playlist.part_target,
            target: playlist.target,
            ended: playlist.ended,
        }
    }
}

/// How many segments ahead of the last one a client may ask.
const SEGMENTS_AHEAD_MAX: u64 = 2;

impl Edge {
    /// Judges a request; `until` is `None` for one without directives.
    pub(crate) fn owes(&self, until: Option<Until>) -> Owed {
        if self.ended {
            return Owed::Now(Keep::Ended);
        }
        // A playlist without a segment ends hls.js and Shaka.
        let is_empty = self.last_segment.is_none();
        let Some(Until { msn, part }) = until else {
            return if is_empty { Owed::Wait } else { Owed::Now(Keep::Live) };
        };
        // Before anything is listed the numbers begin at the hinted part.
        let growing = self.next.map(|(msn, _)| msn).or(self.last_segment.map(|msn| msn + 1));
        if growing.is_some_and(|growing| msn.saturating_add(1) > growing.saturating_add(SEGMENTS_AHEAD_MAX)) {
            return Owed::TooFar;
        }
        let reached = match part {
            None => self.last_segment.is_some_and(|last| last >= msn),
            // Compared as pairs, a part behind the last one of a finished segment is reached exactly when part 0 of the
            // next segment is, which is what the specification asks for.
            Some(part) => !is_empty && self.last.is_some_and(|last| last >= (msn, part)),
        };
        if reached {
            // What was asked for long ago must not pin today's playlist in a cache under an old name.
            let recent = growing.is_none_or(|growing| msn + 1 >= growing);
            return Owed::Now(if recent { Keep::Reached(self.target) } else { Keep::Live });
        }
        match (part, self.next) {
            (Some(part), Some((msn_next, part_next))) if msn >= msn_next => {
                let listed = if msn == msn_next { part_next } else { 0 };
                if part >= listed.saturating_add(self.parts_ahead_max()) { Owed::TooFar } else { Owed::Wait }
            }
            _ => Owed::Wait,
        }
    }

    /// Whether a part that is not there yet is the one announced by the preload hint, and so worth holding a request.
    pub(crate) fn hints(&self, msn: u64, part: u32) -> bool {
        !self.ended && self.next == Some((msn, part))
    }

    /// The specification's Advance Part Limit: three seconds' worth of parts, at least three.
    fn parts_ahead_max(&self) -> u32 {
        let target = self.part_target.as_secs_f64();
        if target > 0.0 && target < 1.0 { (3.0 / target).ceil() as u32 } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGET: Duration = Duration::from_secs(4);

    /// Segments up to `next.0 - 1` are whole, parts up to the one before `next` are listed.
    fn edge(last: (u64, u32), next: (u64, u32)) -> Edge {
        Edge {
            last: Some(last),
            last_segment: Some(next.0 - 1),
            next: Some(next),
            part_target: Duration::from_millis(333),
            target: TARGET,
            ended: false,
        }
    }

    fn check(edge: Edge, msn: u64, part: impl Into<Option<u32>>, want: Owed) {
        let part = part.into();
        assert_eq!(edge.owes(Some(Until { msn, part })), want, "{edge:?} asked for {msn} {part:?}");
    }

    const REACHED: Owed = Owed::Now(Keep::Reached(TARGET));

    #[test]
    fn the_next_things_are_waited_for() {
        let edge = edge((10, 3), (10, 4));
        check(edge, 10, 4, Owed::Wait);
        check(edge, 10, 5, Owed::Wait);
        check(edge, 10, None, Owed::Wait);
        check(edge, 11, 0, Owed::Wait);
        check(edge, 11, None, Owed::Wait);
    }

    #[test]
    fn a_playlist_without_a_segment_is_held() {
        let empty = Edge { last: Some((10, 3)), last_segment: None, ..edge((10, 3), (10, 4)) };
        check(empty, 10, 2, Owed::Wait);
        check(empty, 9, None, Owed::Wait);
        assert_eq!(empty.owes(None), Owed::Wait);
        assert_eq!(Edge { ended: true, ..empty }.owes(None), Owed::Now(Keep::Ended));
        check(empty, 14, 0, Owed::TooFar);
    }

    #[test]
    fn what_is_there_is_answered_at_once() {
        let edge = edge((10, 3), (10, 4));
        check(edge, 10, 3, REACHED);
        check(edge, 9, None, REACHED);
        check(edge, 9, 99, REACHED);
        check(edge, 5, 2, Owed::Now(Keep::Live));
        check(edge, 0, None, Owed::Now(Keep::Live));
        assert_eq!(edge.owes(None), Owed::Now(Keep::Live));
    }

    #[test]
    fn a_part_behind_a_finished_segment_is_part_zero_of_the_next() {
        check(edge((9, 5), (10, 0)), 9, 6, Owed::Wait);
        check(edge((9, 5), (10, 0)), 9, 1000, Owed::Wait);
        check(edge((10, 0), (10, 1)), 9, 6, REACHED);
    }

    #[test]
    fn far_future_is_refused() {
        let edge = edge((10, 3), (10, 4));
        check(edge, 11, 9, Owed::Wait);
        check(edge, 12, None, Owed::TooFar);
        check(edge, u64::MAX, None, Owed::TooFar);
        check(edge, 10, 14, Owed::TooFar);
        check(edge, 11, 11, Owed::TooFar);
        check(edge, 10, u32::MAX, Owed::TooFar);
    }

    #[test]
    fn after_the_end_directives_mean_nothing() {
        let edge = Edge { ended: true, next: None, ..edge((10, 3), (11, 0)) };
        check(edge, 11, 0, Owed::Now(Keep::Ended));
        check(edge, 9999, None, Owed::Now(Keep::Ended));
    }

    #[test]
    fn playlists_without_parts_block_by_segment() {
        let edge = Edge {
            last: Some((10, 0)),
            last_segment: Some(10),
            next: None,
            part_target: Duration::ZERO,
            ..edge((10, 0), (11, 0))
        };
        check(edge, 10, None, REACHED);
        check(edge, 11, None, Owed::Wait);
        check(edge, 12, None, Owed::Wait);
        check(edge, 13, None, Owed::TooFar);
    }

    #[test]
    fn a_playlist_with_nothing_in_it_is_waited_for() {
        let edge = Edge { last: None, last_segment: None, next: Some((7, 0)), ..edge((7, 0), (7, 1)) };
        check(edge, 7, 0, Owed::Wait);
        check(edge, 7, None, Owed::Wait);
        check(edge, 30, None, Owed::TooFar);
        assert!(edge.hints(7, 0) && !edge.hints(7, 1));
    }

    proptest! {
        #[test]
        fn whoever_waits_is_answered_when_it_comes(msn in 0u64..20, part in 0u32..20, now in 1u64..20, k in 0u32..12) {
            let before = if k == 0 { edge((now - 1, 11), (now, 0)) } else { edge((now, k - 1), (now, k)) };
            let until = Until { msn, part: Some(part) };
            if before.owes(Some(until)) == Owed::Wait {
                let far = edge((now + 3, 0), (now + 3, 1));
                prop_assert!(matches!(far.owes(Some(until)), Owed::Now(_)));
            }
        }
    }
}
