//! What a URL under `/vod/` or `/rewind/` names, read as strictly as one under `/live/`.

use super::{Asked, What};
use crate::path::{Family, id, number, ticketed, token};
use packager::vod::Container;
use std::str::SplitN;

/// One object of a recording, or of what can be rewound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub asked: Asked<'a>,
    pub object: Object<'a>,
}

/// See [`Wanted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    /// `index.m3u8`, `hevc.m3u8` or `ts.m3u8`.
    Multivariant(Family),
    /// `RENDITION.m3u8` or `RENDITION.ts.m3u8`.
    Playlist(&'a str, Container),
    /// `RENDITION/init-GEN.mp4`.
    Init(&'a str, u64),
    /// `RENDITION/MSN.m4s`.
    Segment(&'a str, u64),
    /// `RENDITION/MSN.ts`.
    TsSegment(&'a str, u64),
    /// `RENDITION/download-N.mp4`, from 1.
    Download(&'a str, u64),
    /// `thumb.jpg`.
    Thumb,
    /// `storyboard.vtt`.
    Storyboard,
    /// `chapters.vtt`.
    Chapters,
    /// `storyboard-MS.jpg`, one of its pictures.
    Picture(u64),
}

/// Reads a whole URL path (`/vod/…`, `/rewind/…`, or that behind `/p/TICKET`, without the query). `None` for anything else; the caller answers 404.
pub(crate) fn parse(path: &str) -> Option<Wanted<'_>> {
    let (ticket, path) = ticketed(path)?;
    let (what, object) = match path.strip_prefix("/vod/") {
        Some(path) => recording(path.splitn(4, '/'))?,
        None => rewind(path.strip_prefix("/rewind/")?.splitn(5, '/'))?,
    };
    Some(Wanted { asked: Asked { what, ticket }, object })
}

/// Below `/vod/`.
fn recording<'a>(mut steps: SplitN<'a, char>) -> Option<(What<'a>, Object<'a>)> {
    let what = What::Recording(id(steps.next()?)?);
    let first = steps.next()?;
    let object = match steps.next() {
        Some(file) => media(id(first)?, file)?,
        None if first == "thumb.jpg" => Object::Thumb,
        None if first == "chapters.vtt" => Object::Chapters,
        None => overview(first).or_else(|| playlist(first))?,
    };
    steps.next().is_none().then_some((what, object))
}

/// Below `/rewind/`.
fn rewind<'a>(mut steps: SplitN<'a, char>) -> Option<(What<'a>, Object<'a>)> {
    let stream = id(steps.next()?)?;
    let second = steps.next()?;
    let Some(third) = steps.next() else {
        return Some((What::Rewind { stream, session: None }, overview(second)?));
    };
    let object = match steps.next() {
        Some(file) => media(id(third)?, file).filter(|object| !matches!(object, Object::Download(..)))?,
        None => playlist(third)?,
    };
    let session = Some(token(second)?);
    steps.next().is_none().then_some((What::Rewind { stream, session }, object))
}

/// What is of all renditions.
fn overview(file: &str) -> Option<Object<'_>> {
    match file {
        "index.m3u8" => Some(Object::Multivariant(Family::H264)),
        "hevc.m3u8" => Some(Object::Multivariant(Family::Hevc)),
        "ts.m3u8" => Some(Object::Multivariant(Family::Ts)),
        "storyboard.vtt" => Some(Object::Storyboard),
        _ => Some(Object::Picture(number(file.strip_prefix("storyboard-")?.strip_suffix(".jpg")?)?)),
    }
}

fn playlist(file: &str) -> Option<Object<'_>> {
    let name = file.strip_suffix(".m3u8")?;
    let (rendition, container) = match name.strip_suffix(".ts") {
        Some(rendition) => (rendition, Container::Ts),
        None => (name, Container::Cmaf),
    };
    Some(Object::Playlist(id(rendition)?, container))
}

fn media<'a>(rendition: &'a str, file: &str) -> Option<Object<'a>> {
    if let Some(msn) = file.strip_suffix(".m4s") {
        return Some(Object::Segment(rendition, number(msn)?));
    }
    if let Some(msn) = file.strip_suffix(".ts") {
        return Some(Object::TsSegment(rendition, number(msn)?));
    }
    let name = file.strip_suffix(".mp4")?;
    if let Some(place) = name.strip_prefix("download-") {
        return Some(Object::Download(rendition, number(place).filter(|place| *place > 0)?));
    }
    Some(Object::Init(rendition, number(name.strip_prefix("init-")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_object_has_one_spelling() {
        let check = |path, what, object| {
            let wanted = |ticket| Some(Wanted { asked: Asked { what, ticket }, object });
            assert_eq!(parse(path), wanted(None), "{path}");
            assert_eq!(parse(&format!("/p/AAx-_9{path}")), wanted(Some("AAx-_9")), "{path}");
        };
        let it = What::Recording("0192-ab");
        check("/vod/0192-ab/index.m3u8", it, Object::Multivariant(Family::H264));
        check("/vod/0192-ab/hevc.m3u8", it, Object::Multivariant(Family::Hevc));
        check("/vod/0192-ab/720p.m3u8", it, Object::Playlist("720p", Container::Cmaf));
        check("/vod/0192-ab/ts.m3u8", it, Object::Multivariant(Family::Ts));
        check("/vod/0192-ab/720p.ts.m3u8", it, Object::Playlist("720p", Container::Ts));
        check("/vod/0192-ab/720p/17.ts", it, Object::TsSegment("720p", 17));
        check("/vod/0192-ab/720p/init-2.mp4", it, Object::Init("720p", 2));
        check("/vod/0192-ab/720p/17.m4s", it, Object::Segment("720p", 17));
        check("/vod/0192-ab/720p/download-2.mp4", it, Object::Download("720p", 2));
        check("/vod/0192-ab/thumb.jpg", it, Object::Thumb);
        check("/vod/0192-ab/storyboard.vtt", it, Object::Storyboard);
        check("/vod/0192-ab/chapters.vtt", it, Object::Chapters);
        check("/vod/0192-ab/storyboard-1800000000123.jpg", it, Object::Picture(1_800_000_000_123));
        let what = |session| What::Rewind { stream: "show", session };
        check("/rewind/show/index.m3u8", what(None), Object::Multivariant(Family::H264));
        check("/rewind/show/storyboard.vtt", what(None), Object::Storyboard);
        check("/rewind/show/storyboard-5.jpg", what(None), Object::Picture(5));
        check("/rewind/show/18C-1/720p.m3u8", what(Some("18C-1")), Object::Playlist("720p", Container::Cmaf));
        check("/rewind/show/18C-1/720p/17.m4s", what(Some("18C-1")), Object::Segment("720p", 17));
        check("/rewind/show/18C-1/720p/init-2.mp4", what(Some("18C-1")), Object::Init("720p", 2));
        for path in [
            "/rewind/show",
            "/rewind/show/720p.m3u8",
            "/rewind/show/thumb.jpg",
            "/rewind/show/18C-1/storyboard.vtt",
            "/rewind/show/18C-1/720p/download-1.mp4",
            "/rewind/show/18C-1/720p/17.m4s/x",
            "/rewind/show~secret/index.m3u8",
            "/vod/0192-ab/storyboard.m3u8/x",
            "/vod/",
            "/vod/0192-ab",
            "/vod/0192-ab/",
            "/vod/0192-AB/index.m3u8",
            "/vod/../index.m3u8",
            "/vod/0192-ab/../x.m3u8",
            "/vod/0192-ab/.m3u8",
            "/vod/0192-ab/720p/017.m4s",
            "/vod/0192-ab/720p/17.0.m4s",
            "/vod/0192-ab/720p/init-.mp4",
            "/vod/0192-ab/720p/17.m4s/",
            "/vod/0192-ab/storyboard-.jpg",
            "/vod/0192-ab/storyboard-01.jpg",
            "/vod/0192-ab/720p/download-0.mp4",
            "/vod/0192-ab/720p/download-01.mp4",
            "/live/0192-ab/index.m3u8",
            "/p/vod/0192-ab/index.m3u8",
            "/p//vod/0192-ab/index.m3u8",
            "/p/a.b/vod/0192-ab/index.m3u8",
            "/p/a/p/a/vod/0192-ab/index.m3u8",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(path in "(/p/[a-z]{0,3})?(/vod/|/rewind/a/)?\\PC{0,80}") {
            let _ = parse(&path);
        }
    }
}
