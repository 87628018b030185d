//! The one table of how long each kind of answer may be kept by browsers, proxies and CDNs.
//!
//! Names under a session never mean anything else later (they carry the session and boot epoch), so what they hold may
//! be kept long. What is said about the live edge is kept for a second at most, except an answer to a blocking request:
//! it is *the* answer to that very URL, and a cache that keeps it spares the origin every later viewer.

use axum::http::HeaderValue;
use std::time::Duration;

/// A kind of answer, as far as caches care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A multivariant playlist: a new session may replace it at any moment.
    Multivariant,
    /// A live media playlist as it is now.
    Live,
    /// A live media playlist that just reached what the URL asked for (rfc8216bis section 6.2.5.2 and appendix B advise
    /// six target durations). Media listed in it stays fetchable for much longer than that, so a late reader of the
    /// kept answer is never sent to something gone.
    Reached(Duration),
    /// A media playlist with EXT-X-ENDLIST: final.
    Ended,
    /// An init section, segment or part: these bytes for ever. An hour is longer than anyone asks for them again, and
    /// does not fill a cache with yesterday's stream.
    Media,
    /// The thumbnail, remade every few seconds.
    Thumb,
    /// 404: what is asked for may come into being in the next second.
    NotFound,
    /// Any other refusal.
    Refusal,
    /// The answer to a CORS preflight.
    Preflight,
}

impl Keep {
    /// The `Cache-Control` value. What was opened by a ticket is kept no longer than that lasts (`left`): a cache that answers for us
    /// judges nobody.
    pub(crate) fn control(self, left: Option<Duration>) -> HeaderValue {
        let seconds = left.map(|left| left.as_secs()).filter(|left| self.seconds().is_some_and(|most| *left < most));
        if let Some(seconds) = seconds {
            return HeaderValue::try_from(format!("max-age={seconds}")).expect("letters and digits");
        }
        HeaderValue::from_static(match self {
            Keep::Multivariant | Keep::Live | Keep::NotFound => "max-age=1",
            Keep::Reached(target) if target.as_secs() >= 4 => "max-age=24",
            Keep::Reached(_) => "max-age=12",
            Keep::Ended => "max-age=60",
            Keep::Media => "max-age=3600, immutable",
            Keep::Thumb => "max-age=2",
            Keep::Refusal => "no-store",
            Keep::Preflight => "max-age=86400",
        })
    }

    /// How long it may be kept, where that is bounded by a ticket.
    fn seconds(self) -> Option<u64> {
        match self {
            Keep::Multivariant | Keep::Live => Some(1),
            Keep::Reached(target) if target.as_secs() >= 4 => Some(24),
            Keep::Reached(_) => Some(12),
            Keep::Ended => Some(60),
            Keep::Media => Some(3600),
            Keep::Thumb => Some(2),
            Keep::NotFound | Keep::Refusal | Keep::Preflight => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_longer_than_its_ticket_lasts() {
        let check = |keep: Keep, left_ms, want: &str| {
            let left = Option::map(left_ms, Duration::from_millis);
            assert_eq!(keep.control(left), want, "{keep:?} {left:?}");
        };
        check(Keep::Media, None, "max-age=3600, immutable");
        check(Keep::Media, Some(3_600_000), "max-age=3600, immutable");
        check(Keep::Media, Some(59_900), "max-age=59");
        check(Keep::Reached(Duration::from_secs(4)), Some(23_000), "max-age=23");
        check(Keep::Live, Some(1_000), "max-age=1");
        check(Keep::Live, Some(0), "max-age=0");
        check(Keep::Refusal, Some(0), "no-store");
    }
}
