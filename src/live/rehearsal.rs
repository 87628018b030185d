//! Rehearsals: a publisher that adds `?test=1` to its key tries its settings before a show. It gets a place of its own beside its
//! stream, which only who knows the preview's address can watch; the stream itself, its viewers and its numbers notice nothing.

use std::time::Duration;

/// A rehearsal that is forgotten does not take processors for ever.
pub const LONGEST: Duration = Duration::from_secs(600);

/// Stands between a stream's name and what marks a rehearsal; no stream's name has it.
const MARK: char = '~';

/// The hub's name for the rehearsal of a stream. It is no secret, and opens nothing.
pub fn name_of(stream: &str) -> String {
    format!("{stream}{MARK}rehearsal")
}

/// The stream that is rehearsed under this name of the hub's.
pub fn stream_of(name: &str) -> Option<&str> {
    name.split_once(MARK).map(|(stream, _)| stream)
}

/// The stream and the token in a preview's public name, `STREAM~TOKEN`.
pub fn preview(name: &str) -> Option<(&str, &str)> {
    name.split_once(MARK)
}

/// The public name of a preview: an address only its streamer and the operator are told.
pub fn preview_name(stream: &str, token: &str) -> String {
    format!("{stream}{MARK}{token}")
}
