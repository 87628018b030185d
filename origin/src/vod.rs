//! Everything under `/vod/` and `/rewind/`: recordings, and what can be rewound to of a live, as the roof's [`Library`] finds them.

mod path;
mod stored;

pub use stored::{Layout, Piece, Stored};

use crate::cache::Keep;
use crate::meter::{Cause, Kind, Meter};
use crate::path::Family;
use crate::reply::{self, Reply, Wish};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::routing::any;
use packager::vod::Container;
use packager::{Document, Index};
use path::{Object, Wanted};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Where the origin finds recordings; the roof implements it. It may wait for a database or a disk, for as long as a viewer may be
/// kept waiting.
pub trait Library: Send + Sync + 'static {
    /// How long a ticket that was shown still lasts, so that caches keep nothing for longer.
    fn lasts(&self, _ticket: &str) -> Duration {
        Duration::MAX
    }

    /// A multivariant playlist.
    fn index(&self, asked: Asked<'_>, kind: Index) -> impl Future<Output = Found<Listing>> + Send;

    /// The media playlist of one of its renditions.
    fn playlist(
        &self,
        asked: Asked<'_>,
        rendition: &str,
        container: Container,
    ) -> impl Future<Output = Found<Listing>> + Send;

    /// An init section.
    fn init(&self, asked: Asked<'_>, rendition: &str, generation: u64) -> impl Future<Output = Found<Stored>> + Send;

    /// A segment by its media sequence number.
    fn segment(&self, asked: Asked<'_>, rendition: &str, msn: u64) -> impl Future<Output = Found<Stored>> + Send;

    /// The same segment as MPEG-TS, with the sound.
    fn ts_segment(&self, asked: Asked<'_>, rendition: &str, msn: u64) -> impl Future<Output = Found<Stored>> + Send;

    /// A recording as MP4 files, one for each stretch of unchanged codec configuration: the one of this number, from 1.
    fn download(&self, asked: Asked<'_>, rendition: &str, number: u64) -> impl Future<Output = Found<Download>> + Send;

    /// Which picture shows which time of it, as WebVTT whose cues name `storyboard-MS.jpg#xywh=0,0,WIDTH,HEIGHT`.
    fn storyboard(&self, asked: Asked<'_>) -> impl Future<Output = Found<Cues>> + Send;

    /// Its parts with names, as WebVTT of the kind `chapters`.
    fn chapters(&self, asked: Asked<'_>) -> impl Future<Output = Found<Cues>> + Send;

    /// A picture that the storyboard names, a JPEG.
    fn picture(&self, asked: Asked<'_>, at_ms: u64) -> impl Future<Output = Found<Stored>> + Send;

    /// A picture of a recording, a JPEG.
    fn thumb(&self, asked: Asked<'_>) -> impl Future<Output = Found<Stored>> + Send;
}

/// What is to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// The recording of this id.
    Recording(&'a str),
    /// What is on the disk of a stream that is live.
    Rewind {
        /// Its name.
        stream: &'a str,
        /// Of this session; `None`: whichever is on, for what is of all renditions.
        session: Option<&'a str>,
    },
}

/// What is to be watched, and by which right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What it is.
    pub what: What<'a>,
    /// What stands in the path (`/p/TICKET/…`) to open what not everybody may see: 1 to 64 of `A-Z`, `a-z`, `0-9`, `-`, `_`.
    pub ticket: Option<&'a str>,
}

/// A file to be kept by its viewer.
#[derive(Debug)]
pub struct Download {
    /// Its bytes.
    pub stored: Stored,
    /// Tells it from every other file at its address, for ETag.
    pub tag: u64,
    /// What it is to be called, without a folder; `"` and control characters are left out.
    pub name: String,
}

/// What a [`Library`] found.
#[derive(Debug)]
pub enum Found<T> {
    /// It.
    Here(T),
    /// There is no such thing.
    Nothing,
    /// It is there and can't be read now; the sentence is for viewers.
    Unreadable(&'static str),
}

/// A playlist of a recording.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its text.
    pub document: Arc<Document>,
    /// It can change no more.
    pub has_ended: bool,
}

/// WebVTT of a recording.
#[derive(Debug, Clone)]
pub struct Cues {
    /// Its text.
    pub text: Bytes,
    /// It can change no more.
    pub has_ended: bool,
}

/// The routes under `/vod/` and `/rewind/`, for GET, HEAD and OPTIONS. Install the process's metrics recorder before the call.
///
/// | path | is |
/// | --- | --- |
/// | `/vod/RECORDING/index.m3u8`, `hevc.m3u8`, `ts.m3u8` | multivariant playlists |
/// | `/vod/RECORDING/RENDITION.m3u8`, `RENDITION.ts.m3u8` | media playlists |
/// | `/vod/RECORDING/RENDITION/…` | `init-GEN.mp4`, `MSN.m4s`, `MSN.ts` |
/// | `/vod/RECORDING/RENDITION/download-N.mp4` | the same as files, with the sound |
/// | `/vod/RECORDING/thumb.jpg` | a picture of it |
/// | `/vod/RECORDING/chapters.vtt` | its parts with names |
/// | `/vod/RECORDING/storyboard.vtt`, `storyboard-MS.jpg` | which picture shows which time |
/// | `/rewind/STREAM/index.m3u8`, `hevc.m3u8`, `ts.m3u8` | multivariant playlists of what can be rewound to |
/// | `/rewind/STREAM/SESSION/RENDITION.m3u8`, `RENDITION.ts.m3u8`, `…/RENDITION/…` | its media playlists, and what they list, as above |
/// | `/rewind/STREAM/storyboard.vtt`, `storyboard-MS.jpg` | as above |
/// | `/p/TICKET/vod/…`, `/p/TICKET/rewind/…` | all of this where not everybody may look |
pub fn vod_router<L: Library>(library: Arc<L>) -> axum::Router {
    let shelf = Arc::new(Shelf { library, meter: Meter::new() });
    axum::Router::new()
        .route("/vod/{*asset}", any(answer::<L>))
        .route("/p/{ticket}/vod/{*asset}", any(answer::<L>))
        .route("/rewind/{*asset}", any(answer::<L>))
        .route("/p/{ticket}/rewind/{*asset}", any(answer::<L>))
        .with_state(shelf)
}

struct Shelf<L> {
    library: Arc<L>,
    meter: Meter,
}

async fn answer<L: Library>(
    State(shelf): State<Arc<Shelf<L>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let (kind, reply) = shelf.reply(&method, uri.path(), &headers).await;
    shelf.meter.answered(kind, reply.response.status(), reply.bytes);
    reply.response
}

impl<L: Library> Shelf<L> {
    async fn reply(&self, method: &Method, path: &str, headers: &HeaderMap) -> (Kind, Reply) {
        if method == Method::OPTIONS {
            return (Kind::Other, reply::preflight());
        }
        let head = method == Method::HEAD;
        if method != Method::GET && !head {
            self.meter.refused(Cause::Method);
            let sentence = "Only GET, HEAD and OPTIONS are possible here.";
            return (Kind::Other, reply::refusal(head, StatusCode::METHOD_NOT_ALLOWED, Keep::Refusal, sentence));
        }
        let wish = Wish::of(method, headers);
        let Some(Wanted { asked, object }) = path::parse(path) else {
            return (Kind::Other, missing(&wish));
        };
        let library = &self.library;
        let wish = wish.within(asked.ticket.map(|ticket| library.lasts(ticket)));
        match object {
            Object::Multivariant(family) => {
                let index = match family {
                    Family::H264 => Index::H264,
                    Family::Hevc => Index::Hevc,
                    Family::Ts => Index::Ts,
                };
                (Kind::Multivariant, listing(&wish, library.index(asked, index).await))
            }
            Object::Playlist(rendition, container) => {
                (Kind::Playlist, listing(&wish, library.playlist(asked, rendition, container).await))
            }
            Object::Init(rendition, generation) => {
                let found = library.init(asked, rendition, generation).await;
                (Kind::Init, stored(&wish, found, kind_of(rendition), (generation, 0)))
            }
            Object::Segment(rendition, msn) => {
                let found = library.segment(asked, rendition, msn).await;
                (Kind::Segment, stored(&wish, found, kind_of(rendition), (msn, 0)))
            }
            Object::TsSegment(rendition, msn) => {
                (Kind::Ts, stored(&wish, library.ts_segment(asked, rendition, msn).await, "video/mp2t", (msn, 0)))
            }
            Object::Download(rendition, number) => {
                (Kind::Segment, download(&wish, library.download(asked, rendition, number).await))
            }
            Object::Storyboard => (Kind::Thumb, cues(&wish, library.storyboard(asked).await)),
            Object::Chapters => (Kind::Playlist, cues(&wish, library.chapters(asked).await)),
            Object::Picture(at_ms) => {
                (Kind::Thumb, stored(&wish, library.picture(asked, at_ms).await, "image/jpeg", (at_ms, 0)))
            }
            Object::Thumb => (Kind::Thumb, stored(&wish, library.thumb(asked).await, "image/jpeg", (0, 0))),
        }
    }
}

/// The sound's rendition is always called so (`packager`).
fn kind_of(rendition: &str) -> &'static str {
    if rendition == "audio" { "audio/mp4" } else { "video/mp4" }
}

fn listing(wish: &Wish, found: Found<Listing>) -> Reply {
    match found {
        Found::Here(Listing { document, has_ended }) => {
            reply::playlist(wish, &document, if has_ended { Keep::Ended } else { Keep::Live })
        }
        Found::Nothing => missing(wish),
        Found::Unreadable(sentence) => unreadable(wish, sentence),
    }
}

fn stored(wish: &Wish, found: Found<Stored>, kind: &'static str, name: (u64, u32)) -> Reply {
    match found {
        Found::Here(stored) => reply::stored(wish, stored, kind, name),
        Found::Nothing => missing(wish),
        Found::Unreadable(sentence) => unreadable(wish, sentence),
    }
}

fn cues(wish: &Wish, found: Found<Cues>) -> Reply {
    match found {
        Found::Here(Cues { text, has_ended }) => {
            reply::storyboard(wish, text, if has_ended { Keep::Ended } else { Keep::Live })
        }
        Found::Nothing => missing(wish),
        Found::Unreadable(sentence) => unreadable(wish, sentence),
    }
}

fn download(wish: &Wish, found: Found<Download>) -> Reply {
    match found {
        Found::Here(Download { stored, tag, name }) => reply::download(wish, stored, tag, &name),
        Found::Nothing => missing(wish),
        Found::Unreadable(sentence) => unreadable(wish, sentence),
    }
}

fn missing(wish: &Wish) -> Reply {
    let sentence = "There is no such recording, or it has no such part; a live can be rewound while it is on.";
    reply::refusal(wish.head(), StatusCode::NOT_FOUND, Keep::NotFound, sentence)
}

fn unreadable(wish: &Wish, sentence: &'static str) -> Reply {
    reply::refusal(wish.head(), StatusCode::SERVICE_UNAVAILABLE, Keep::Refusal, sentence)
}
