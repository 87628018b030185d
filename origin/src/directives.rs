//! The delivery directives of a playlist request, read from its query (rfc8216bis section 6.2.5).
//!
//! Only `_HLS_msn`, `_HLS_part` and `_HLS_skip` mean something; every other parameter is skipped unread, so that a
//! tracking parameter changes nothing. Values are taken as they stand (no percent-decoding): a number is digits only.

/// What the client asked the playlist to contain before it is sent, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Directives {
    /// `_HLS_msn`, with `_HLS_part` when given: the newest thing the client wants to see listed.
    pub(crate) until: Option<Until>,
    /// `_HLS_skip=YES` or `v2`: a delta update will do.
    pub(crate) skip: bool,
}

/// A place on the timeline that the playlist must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until {
    /// Media sequence number.
    pub(crate) msn: u64,
    /// Part index; `None` asks for the whole segment.
    pub(crate) part: Option<u32>,
}

/// Why the directives cannot be obeyed; the answer is 400 with this sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("_HLS_msn must be a decimal number")]
    Msn,
    #[error("_HLS_part must be a decimal number")]
    Part,
    #[error("_HLS_skip must be YES or v2")]
    Skip,
    #[error("a delivery directive is given twice")]
    Twice,
    #[error("_HLS_part needs _HLS_msn")]
    PartWithoutMsn,
}

impl Directives {
    /// Reads a raw query (without the `?`). Allocates nothing.
    pub(crate) fn parse(query: Option<&str>) -> Result<Directives, Malformed> {
        let (mut msn, mut part, mut skip) = (None, None, None);
        for pair in query.unwrap_or("").split('&').filter(|pair| pair.starts_with("_HLS_")) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let twice = match name {
                "_HLS_msn" => msn.replace(digits(value).ok_or(Malformed::Msn)?).is_some(),
                "_HLS_part" => {
                    let index = digits(value).and_then(|index| u32::try_from(index).ok());
                    part.replace(index.ok_or(Malformed::Part)?).is_some()
                }
                "_HLS_skip" if matches!(value, "YES" | "v2") => skip.replace(()).is_some(),
                "_HLS_skip" => return Err(Malformed::Skip),
                _ => false,
            };
            if twice {
                return Err(Malformed::Twice);
            }
        }
        let until = match (msn, part) {
            (Some(msn), part) => Some(Until { msn, part }),
            (None, Some(_)) => return Err(Malformed::PartWithoutMsn),
            (None, None) => None,
        };
        Ok(Directives { until, skip: skip.is_some() })
    }
}

/// Digits only: `str::parse` alone would take a leading plus sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directives_are_read_and_junk_is_skipped() {
        let check = |query: &str, msn, part, skip| {
            let until = Option::map(msn, |msn| Until { msn, part });
            assert_eq!(Directives::parse(Some(query)), Ok(Directives { until, skip }), "{query}");
        };
        check("", None, None, false);
        check("utm=1&&_=2", None, None, false);
        check("_HLS_msn=7", Some(7), None, false);
        check("a=b&_HLS_part=3&x&_HLS_msn=7", Some(7), Some(3), false);
        check("_HLS_skip=YES", None, None, true);
        check("_HLS_msn=0&_HLS_part=0&_HLS_skip=v2&_HLS_future=9", Some(0), Some(0), true);
        assert_eq!(Directives::parse(None), Ok(Directives::default()));
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        let check = |query: &str, why| assert_eq!(Directives::parse(Some(query)), Err(why), "{query}");
        for bad in ["abc", "-1", "+1", "", "1.5", "%31", "99999999999999999999"] {
            check(&format!("_HLS_msn={bad}"), Malformed::Msn);
        }
        check("_HLS_msn=1&_HLS_part=x", Malformed::Part);
        check("_HLS_msn=1&_HLS_part=4294967296", Malformed::Part);
        check("_HLS_part=0", Malformed::PartWithoutMsn);
        check("_HLS_skip=NO", Malformed::Skip);
        check("_HLS_msn=1&_HLS_msn=1", Malformed::Twice);
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "[_HLSmsnpartkip=&0-9A-Z%+-]{0,60}") {
            let _ = Directives::parse(Some(&query));
        }

        #[test]
        fn numbers_come_back(msn: u64, part: u32, junk in "[a-z=]{0,8}") {
            let query = format!("{junk}&_HLS_msn={msn}&_HLS_part={part}");
            prop_assert_eq!(Directives::parse(Some(&query)).map(|it| it.until), Ok(Some(Until { msn, part: Some(part) })));
        }
    }
}
