//! What a URL under `/live/` names, read strictly; and the ticket that may stand in front of one.
//!
//! Names are ids, not paths: every segment of the path is checked against a fixed alphabet before it is looked up
//! anywhere, so nothing here can climb out of a directory or reach a file. There is one spelling per object (no
//! percent-encoding, no leading zeros, no trailing slash), so a cache never holds the same bytes under two keys.
//! This module allocates nothing.

/// The longest name of a stream, a session or a rendition, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 64;
/// Stands between a stream's name and the secret of an address that only who was told it may ask for.
const SECRET_MARK: char = '~';

/// One object of the HLS tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asset<'a> {
    /// `/live/NAME/index.m3u8`, `hevc.m3u8` or `ts.m3u8`.
    Multivariant { stream: &'a str, kind: Family },
    /// `/live/NAME/thumb.jpg`.
    Thumb { stream: &'a str },
    /// Something of one session of the stream. `run` is the boot epoch in front of the name of media made after a restart
    /// of the server, such as `RENDITION/7-17.m4s`; playlists have none.
    Session { stream: &'a str, session: &'a str, rendition: &'a str, run: Option<u64>, object: Object },
}

/// Which family of variants a multivariant playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// CMAF with H.264 video.
    H264,
    /// CMAF with HEVC video.
    Hevc,
    /// MPEG-TS with H.264 video.
    Ts,
}

/// An object of one rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    /// `SESSION/RENDITION.m3u8`: the CMAF media playlist.
    Playlist,
    /// `SESSION/RENDITION.ts.m3u8`: the MPEG-TS media playlist.
    TsPlaylist,
    /// `SESSION/RENDITION/init-GEN.mp4`.
    Init(u32),
    /// `SESSION/RENDITION/MSN.m4s`.
    Segment(u64),
    /// `SESSION/RENDITION/MSN.PART.m4s`.
    Part(u64, u32),
    /// `SESSION/RENDITION/MSN.ts`.
    TsSegment(u64),
}

impl<'a> Asset<'a> {
    /// The stream it is of, as it was asked for.
    pub(crate) fn stream(&self) -> &'a str {
        match *self {
            Self::Multivariant { stream, .. } | Self::Thumb { stream } | Self::Session { stream, .. } => stream,
        }
    }

    /// Reads a whole URL path (`/live/…`, without the query). `None` for anything that is not exactly one of the
    /// shapes above; the caller answers 404.
    pub(crate) fn parse(path: &'a str) -> Option<Asset<'a>> {
        let rest = path.strip_prefix("/live/")?;
        let mut steps = rest.splitn(5, '/');
        let stream = stream_name(steps.next()?)?;
        let second = steps.next()?;
        let Some(third) = steps.next() else {
            return match second {
                "index.m3u8" => Some(Asset::Multivariant { stream, kind: Family::H264 }),
                "hevc.m3u8" => Some(Asset::Multivariant { stream, kind: Family::Hevc }),
                "ts.m3u8" => Some(Asset::Multivariant { stream, kind: Family::Ts }),
                "thumb.jpg" => Some(Asset::Thumb { stream }),
                _ => None,
            };
        };
        let session = token(second)?;
        let (rendition, run, object) = match steps.next() {
            None => {
                let name = third.strip_suffix(".m3u8")?;
                match name.strip_suffix(".ts") {
                    Some(name) => (name, None, Object::TsPlaylist),
                    None => (name, None, Object::Playlist),
                }
            }
            Some(file) => {
                let (run, file) = run(file);
                (third, run, object(file)?)
            }
        };
        if steps.next().is_some() {
            return None;
        }
        Some(Asset::Session { stream, session, rendition: id(rendition)?, run, object })
    }
}

/// Splits the `/p/TICKET` off that may stand in front of a path. `None` when what stands there can be no ticket.
pub(crate) fn ticketed(path: &str) -> Option<(Option<&str>, &str)> {
    match path.strip_prefix("/p/") {
        Some(rest) => {
            let end = rest.find('/')?;
            Some((Some(token(&rest[..end])?), &rest[end..]))
        }
        None => Some((None, path)),
    }
}

/// A stream's name; behind it there may be `~` and a secret of the same letters, of which the [`crate::Catalog`] knows more.
fn stream_name(text: &str) -> Option<&str> {
    let (name, secret) = text.split_once(SECRET_MARK).map_or((text, None), |(name, secret)| (name, Some(secret)));
    (id(name).is_some() && secret.is_none_or(|secret| id(secret).is_some())).then_some(text)
}

/// A name of 1 to 64 bytes of `a-z`, `0-9`, `_` and `-`.
pub(crate) fn id(text: &str) -> Option<&str> {
    token(text).filter(|text| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// As [`id`], capitals allowed: what the packager promises of a session's name.
pub(crate) fn token(text: &str) -> Option<&str> {
    let fits = (1..=ID_BYTES_MAX).contains(&text.len());
    let clean = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (fits && clean).then_some(text)
}

/// Splits the boot epoch off a name of media. No other name has a number in front of its first `-`.
fn run(file: &str) -> (Option<u64>, &str) {
    let split = file.split_once('-').and_then(|(run, rest)| Some((number(run)?, rest)));
    split.map_or((None, file), |(run, rest)| (Some(run), rest))
}

fn object(file: &str) -> Option<Object> {
    if let Some(stem) = file.strip_suffix(".m4s") {
        return match stem.split_once('.') {
            Some((msn, part)) => Some(Object::Part(number(msn)?, number(part)?.try_into().ok()?)),
            None => Some(Object::Segment(number(stem)?)),
        };
    }
    if let Some(stem) = file.strip_suffix(".ts") {
        return Some(Object::TsSegment(number(stem)?));
    }
    let generation = file.strip_prefix("init-")?.strip_suffix(".mp4")?;
    Some(Object::Init(number(generation)?.try_into().ok()?))
}

/// A decimal number in its one canonical spelling: digits only, no leading zero, at most `u64::MAX`.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text.len() == 1 || !text.starts_with('0');
    if digits && canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session(object: Object) -> Option<Asset<'static>> {
        Some(Asset::Session { stream: "demo", session: "x1-5", rendition: "720p", run: None, object })
    }

    fn after_restart(object: Object) -> Option<Asset<'static>> {
        Some(Asset::Session { stream: "demo", session: "x1-5", rendition: "720p", run: Some(9), object })
    }

    #[test]
    fn every_object_has_one_spelling() {
        let check = |path, want| assert_eq!(Asset::parse(path), want, "{path}");
        check("/live/demo/index.m3u8", Some(Asset::Multivariant { stream: "demo", kind: Family::H264 }));
        check("/live/demo/hevc.m3u8", Some(Asset::Multivariant { stream: "demo", kind: Family::Hevc }));
        check("/live/demo/ts.m3u8", Some(Asset::Multivariant { stream: "demo", kind: Family::Ts }));
        check("/live/demo/thumb.jpg", Some(Asset::Thumb { stream: "demo" }));
        check("/live/demo~a2b/index.m3u8", Some(Asset::Multivariant { stream: "demo~a2b", kind: Family::H264 }));
        check("/live/demo/x1-5/720p.m3u8", session(Object::Playlist));
        check("/live/demo/x1-5/720p.ts.m3u8", session(Object::TsPlaylist));
        check("/live/demo/x1-5/720p/init-0.mp4", session(Object::Init(0)));
        check("/live/demo/x1-5/720p/17.m4s", session(Object::Segment(17)));
        check("/live/demo/x1-5/720p/17.0.m4s", session(Object::Part(17, 0)));
        check("/live/demo/x1-5/720p/17.ts", session(Object::TsSegment(17)));
        check("/live/demo/x1-5/720p/9-init-0.mp4", after_restart(Object::Init(0)));
        check("/live/demo/x1-5/720p/9-17.m4s", after_restart(Object::Segment(17)));
        check("/live/demo/x1-5/720p/9-17.0.m4s", after_restart(Object::Part(17, 0)));
        check("/live/demo/x1-5/720p/9-17.ts", after_restart(Object::TsSegment(17)));
    }

    #[test]
    fn anything_else_names_nothing() {
        for path in [
            "",
            "/",
            "/live",
            "/live/",
            "/live//index.m3u8",
            "/live/demo",
            "/live/demo/",
            "/live/Demo/index.m3u8",
            "/live/demo~/index.m3u8",
            "/live/~a2b/index.m3u8",
            "/live/demo~a~b/index.m3u8",
            "/live/demo~A/index.m3u8",
            "/live/demo/index.m3u8/",
            "/live/../etc/passwd",
            "/live/demo/../secret.m3u8",
            "/live/demo/%2e%2e/x.m3u8",
            "/live/demo/x1-5/..m3u8",
            "/live/demo/x1-5/.m3u8",
            "/live/demo/x1-5/a.b.m3u8",
            "/live/demo/x1-5/720p/017.m4s",
            "/live/demo/x1-5/720p/-1.m4s",
            "/live/demo/x1-5/720p/+1.m4s",
            "/live/demo/x1-5/720p/09-1.m4s",
            "/live/demo/x1-5/720p/9-8-1.m4s",
            "/live/demo/x1-5/720p/9-.m4s",
            "/live/demo/x1-5/9-720p.m3u8/x",
            "/live/demo/x1-5/720p/1.2.3.m4s",
            "/live/demo/x1-5/720p/1..m4s",
            "/live/demo/x1-5/720p/.1.m4s",
            "/live/demo/x1-5/720p/init-.mp4",
            "/live/demo/x1-5/720p/99999999999999999999.m4s",
            "/live/demo/x1-5/720p/1.4294967296.m4s",
            "/live/demo/x1-5/720p/1.m4s/2",
            "/live/demo/x1-5/720p/1/2/3/4",
            "/live/demo/x1-5/720p/no-such-segment.m4s",
            "/live/de%6do/index.m3u8",
            "/live/demo\\x/index.m3u8",
        ] {
            assert_eq!(Asset::parse(path), None, "{path}");
        }
        assert_eq!(Asset::parse(&format!("/live/{}/index.m3u8", "a".repeat(65))), None);
        assert!(Asset::parse(&format!("/live/{}/index.m3u8", "a".repeat(64))).is_some());
    }

    proptest! {
        #[test]
        fn parsed_names_hold_only_the_alphabet(path in "/live/[a-z./%0-9_~-]{0,40}") {
            if let Some(Asset::Session { stream, session, rendition, .. }) = Asset::parse(&path) {
                prop_assert!(stream_name(stream).is_some() && token(session).is_some() && id(rendition).is_some());
            }
        }

        #[test]
        fn no_text_makes_it_panic(path in "\\PC{0,80}") {
            let _ = Asset::parse(&path);
        }
    }
}
