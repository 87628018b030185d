//! The packager turns access units into live HLS: one grid of segments and parts for all renditions, CMAF chunks, and the
//! playlists that list them.
//!
//! It is not a server and not a transcoder: it opens no socket and no file, starts no thread and reads no clock; times come
//! in with the units. The roof owns a [`Packager`] per session and feeds it; the origin and the archive read the session's
//! [`Window`], which wakes them through `tokio::sync::watch` channels. The text of playlists of what the archive keeps is made
//! here too ([`vod`]), and its segments are turned back into access units ([`Unpacker`]). What is to become a recording without ever
//! being live goes through a [`FilmPackager`].
//!
//! How a session goes: the [`Prober`] looks at the first units and says what the source is. A [`SessionPlan`] is made of
//! that. From then on each unit of the source goes to [`Packager::source`], and the [`Cue`]s that come back go to the
//! transcoding worker before the unit does; what the worker makes comes back through [`Packager::encoded`].
//!
//! URLs: the multivariant playlists stand at `/live/NAME/`; all they list is below `/live/NAME/SESSION/`:
//! `RENDITION.m3u8`, `RENDITION.ts.m3u8`, `RENDITION/init-GEN.mp4`, `RENDITION/MSN.m4s`, `RENDITION/MSN.PART.m4s` and
//! `RENDITION/MSN.ts`. After a restart of the server the last four begin with its boot epoch: `RENDITION/EPOCH-MSN.m4s`.
//!
//! ```
//! use packager::{Index, Packager, SessionPlan, SourceFacts};
//! # fn plan() -> SessionPlan {
//! #     let facts = SourceFacts { video: None, audio: None };
//! #     let wall_start = std::time::SystemTime::now();
//! #     SessionPlan { stream: "demo".into(), session: "a1-1".into(), run: None, first_msn: 0,
//! #         discontinuities: 0, target_s: 2, low_latency: true, facts, passthrough: true,
//! #         rungs: vec![], audio_encoded: false, wall_start }
//! # }
//! let (mut packager, window) = Packager::new(plan());
//! assert!(window.index(Index::H264).borrow().is_none(), "nothing is listed before there is media");
//! packager.finish();
//! ```
//!
//! Invariants: a segment number is used once; no listed URI changes its bytes; nothing is listed before it can be fetched;
//! every rendition has the same segments, those it has no media for as gaps; EXT-X-TARGETDURATION and PART-TARGET never
//! change; a discontinuity stands at the same number in every rendition.

mod bandwidth;
mod cmaf;
mod coding;
mod cutter;
mod document;
mod film;
mod follow;
mod lane;
mod movie;
mod multivariant;
mod packager;
mod parts;
mod plan;
mod playlist;
mod prober;
mod rendition;
mod segment;
mod session;
mod shelf;
mod ts;
mod unpack;
pub mod vod;
mod wall;
mod window;

pub use coding::{AudioCoding, Coding, VideoCoding};
pub use cutter::Cue;
pub use document::Document;
pub use film::{Cut, FilmPackager, FilmTracks, cuts};
pub use follow::{Cursor, Step};
pub use movie::{Movie, MovieError, MovieSlice, MovieTrack, stretches};
pub use packager::Packager;
pub use prober::Prober;
pub use rendition::{Playlist, Rendition};
pub use segment::{Part, Segment};
pub use session::{AudioFacts, SessionPlan, SourceFacts, VideoFacts};
pub use ts::transport_stream;
pub use unpack::{Respacer, Unpacker};
pub use window::{Index, Window};
