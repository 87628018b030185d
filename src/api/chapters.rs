//! Chapters of recordings as the API tells them; they are set as lines of text ([`store::read_chapters`]).

use serde::Serialize;
use store::Chapter;
use utoipa::ToSchema;

/// A part of a recording with a name; it lasts until the next one.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChapterShape {
    /// Where it begins, milliseconds from the recording's start.
    pub at_ms: u64,
    /// At most 100 characters.
    pub title: String,
}

impl From<Chapter> for ChapterShape {
    fn from(Chapter { at_ms, title }: Chapter) -> Self {
        Self { at_ms, title }
    }
}
