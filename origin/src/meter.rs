//! What the origin counts. Handles are looked up once, when the router is made, so the process's recorder must be
//! installed before; a request then costs one atomic addition per number.

use axum::http::StatusCode;
use metrics::{Counter, Gauge};

/// What was asked for; a metric's label, so the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Multivariant,
    Playlist,
    Init,
    Segment,
    Part,
    Ts,
    Thumb,
    Other,
}

const KINDS: [(Kind, &str); 8] = [
    (Kind::Multivariant, "multivariant"),
    (Kind::Playlist, "playlist"),
    (Kind::Init, "init"),
    (Kind::Segment, "segment"),
    (Kind::Part, "part"),
    (Kind::Ts, "ts"),
    (Kind::Thumb, "thumb"),
    (Kind::Other, "other"),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Why a request under `/live/` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Delivery directives that cannot be read.
    Directives,
    /// A segment or part further ahead than anyone may ask for.
    TooFar,
    /// What was waited for did not come in time.
    HeldTooLong,
    /// Neither GET, HEAD nor OPTIONS.
    Method,
    /// A range behind the end.
    Range,
}

const CAUSES: [(Cause, &str); 5] = [
    (Cause::Directives, "directives"),
    (Cause::TooFar, "too_far"),
    (Cause::HeldTooLong, "held_too_long"),
    (Cause::Method, "method"),
    (Cause::Range, "range"),
];

/// The origin's counters.
#[derive(Clone)]
pub(crate) struct Meter {
    requests: [[Counter; CLASSES.len()]; KINDS.len()],
    bytes: [Counter; KINDS.len()],
    refused: [Counter; CAUSES.len()],
    waiting: Gauge,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        Meter {
            requests: KINDS.map(|(_, kind)| {
                CLASSES.map(|class| metrics::counter!("weir_origin_requests_total", "kind" => kind, "status" => class))
            }),
            bytes: KINDS.map(|(_, kind)| metrics::counter!("weir_origin_bytes_total", "kind" => kind)),
            refused: CAUSES.map(|(_, cause)| metrics::counter!("weir_origin_refused_total", "cause" => cause)),
            waiting: metrics::gauge!("weir_origin_waiting"),
        }
    }

    /// One answer with a body of `bytes`.
    pub(crate) fn answered(&self, kind: Kind, status: StatusCode, bytes: u64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[kind as usize][class].increment(1);
        if bytes > 0 {
            self.bytes[kind as usize].increment(bytes);
        }
    }

    /// One refusal; its answer is counted as well.
    pub(crate) fn refused(&self, cause: Cause) {
        self.refused[cause as usize].increment(1);
    }

    /// A request begins to wait; it is counted until the returned value is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.increment(1.0);
        Waiting(self.waiting.clone())
    }
}

/// One request that waits.
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_their_enums() {
        assert!(KINDS.iter().enumerate().all(|(place, (kind, _))| *kind as usize == place));
        assert!(CAUSES.iter().enumerate().all(|(place, (cause, _))| *cause as usize == place));
    }
}
