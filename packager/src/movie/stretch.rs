use super::{GAP_MAX, OVERLAP_MAX};
use media::MediaTime;
use std::ops::Range;

/// Splits a recording into what one file each can hold: where an init section changes, or where time does not go on (a clock
/// that was set back between two runs of the server, or more than 12 hours without media), the next file begins.
///
/// `segments` are in their order, each with its time on the session's timeline and with what tells apart the init sections
/// its renditions need, one place for each rendition: the section's bytes, or their hash, rather than its number, as after a
/// restart of the server the same bytes have another one. `None` stands for a rendition that has no media there. The answer is
/// ranges of indices into `segments`, without holes.
pub fn stretches<K: PartialEq, const RENDITIONS: usize>(
    segments: impl IntoIterator<Item = (Range<MediaTime>, [Option<K>; RENDITIONS])>,
) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut known: [Option<K>; RENDITIONS] = std::array::from_fn(|_| None);
    let mut end = MediaTime::ZERO;
    for (index, (time, inits)) in segments.into_iter().enumerate() {
        let changes = known.iter().zip(&inits).any(|(known, new)| known.is_some() && new.is_some() && known != new);
        let follows = time.start + OVERLAP_MAX >= end && time.start <= end + GAP_MAX;
        end = time.end;
        match out.last_mut().filter(|_| follows && !changes) {
            Some(open) => {
                open.end = index + 1;
                for (known, new) in known.iter_mut().zip(inits).filter(|(_, new)| new.is_some()) {
                    *known = new;
                }
            }
            None => {
                out.push(index..index + 1);
                known = inits;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of two seconds, each with its second and its init sections.
    fn check(segments: &[(i64, [Option<u32>; 2])], expected: &[Range<usize>]) {
        let time = |second: i64| MediaTime::from_millis(1000 * second);
        let segments = segments.iter().map(|(second, inits)| (time(*second)..time(second + 2), *inits));
        assert_eq!(stretches(segments), expected);
    }

    #[test]
    fn a_changed_init_section_of_either_rendition_begins_a_file() {
        check(
            &[(0, [Some(0), Some(0)]), (2, [Some(0), Some(0)]), (4, [Some(1), Some(0)]), (6, [Some(1), Some(2)])],
            &[0..2, 2..3, 3..4],
        );
    }

    #[test]
    fn a_rendition_without_media_stays_in_the_file() {
        check(
            &[(0, [Some(0), None]), (2, [None, Some(0)]), (4, [Some(0), Some(0)]), (6, [Some(0), Some(1)])],
            &[0..3, 3..4],
        );
    }

    #[test]
    fn a_gap_stays_in_the_file_and_a_step_back_does_not() {
        check(&[(0, [Some(0), None]), (600, [Some(0), None]), (590, [Some(0), None])], &[0..2, 2..3]);
    }

    #[test]
    fn nothing_recorded_is_no_file() {
        check(&[], &[]);
    }
}
