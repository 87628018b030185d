//! The `Range` request header (RFC 9110 section 14), one range at most.
//!
//! A request for several ranges is answered with the whole object, which the RFC allows and which costs an attacker as
//! much as it costs us; so no answer is ever larger than the object itself.

/// What to send of an object of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slice {
    /// All of it (status 200).
    Whole,
    /// Bytes `first..=last` (status 206).
    Bytes { first: usize, last: usize },
    /// The range begins behind the end (status 416).
    Unsatisfiable,
}

impl Slice {
    /// Applies a `Range` header to an object of `length` bytes. Anything malformed, in another unit or with several
    /// ranges counts as no range at all.
    pub(crate) fn parse(header: &[u8], length: usize) -> Slice {
        let spec = std::str::from_utf8(header).ok().and_then(|text| text.strip_prefix("bytes="));
        let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else { return Slice::Whole };
        let (first, last) = (first.trim(), last.trim());
        match (position(first), position(last)) {
            (Some(first), Some(last)) if first > last => Slice::Whole,
            (Some(first), _) if first >= length && (last.is_empty() || position(last).is_some()) => {
                Slice::Unsatisfiable
            }
            (Some(first), Some(last)) => Slice::Bytes { first, last: last.min(length - 1) },
            (Some(first), None) if last.is_empty() => Slice::Bytes { first, last: length - 1 },
            (None, Some(0)) if first.is_empty() => Slice::Unsatisfiable,
            (None, Some(_)) if first.is_empty() && length == 0 => Slice::Unsatisfiable,
            (None, Some(tail)) if first.is_empty() => {
                Slice::Bytes { first: length.saturating_sub(tail), last: length - 1 }
            }
            _ => Slice::Whole,
        }
    }
}

/// Digits only; a number beyond `usize` is as good as the largest one.
fn position(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_ranges_are_honoured_and_the_rest_is_the_whole() {
        let check = |header: &str, want| assert_eq!(Slice::parse(header.as_bytes(), 100), want, "{header}");
        check("bytes=0-0", Slice::Bytes { first: 0, last: 0 });
        check("bytes=10-19", Slice::Bytes { first: 10, last: 19 });
        check("bytes=90-", Slice::Bytes { first: 90, last: 99 });
        check("bytes=90-5000", Slice::Bytes { first: 90, last: 99 });
        check("bytes=-10", Slice::Bytes { first: 90, last: 99 });
        check("bytes=-5000", Slice::Bytes { first: 0, last: 99 });
        check("bytes=0-99999999999999999999", Slice::Bytes { first: 0, last: 99 });
        check("bytes=100-", Slice::Unsatisfiable);
        check("bytes=100-200", Slice::Unsatisfiable);
        check("bytes=-0", Slice::Unsatisfiable);
        for odd in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=1-b",
            "items=0-1",
            "bytes=+1-2",
            "bytes=500-x",
        ] {
            check(odd, Slice::Whole);
        }
    }

    proptest! {
        #[test]
        fn a_slice_always_lies_inside(header in "(bytes=)?[0-9,-]{0,12}", length in 0usize..50) {
            if let Slice::Bytes { first, last } = Slice::parse(header.as_bytes(), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
