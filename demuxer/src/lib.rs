//! The demuxer finds the pictures and the sound in an MP4 file that somebody else wrote: where each coded picture and each audio
//! frame lies, when it is shown, and what a decoder must know (ISO/IEC 14496-12, 14496-14, 14496-15).
//!
//! It is not a player and not a converter: it opens no file, decodes nothing and reads no clock. Bytes come through a [`Source`], which
//! the roof makes of an uploaded file. Plain files are read, with the index in front or at the end, and fragmented ones.
//!
//! Not a byte is believed. Every count is held against the size of what it counts and against the file's, so a small file makes no large
//! table, and what can't be made a recording of is refused in one sentence with its cure. The boxes are read by us and not by a
//! library, since those build the whole tree and refuse a file for one odd box in it that nobody needs.
//!
//! ```
//! let bytes: &[u8] = b"no film";
//! let refused = demuxer::open(bytes).unwrap_err();
//! assert!(matches!(refused, demuxer::Error::NotMp4));
//! ```

mod boxes;
mod codec;
mod fragment;
mod index;
mod keyframes;
mod source;
mod table;
mod track;

pub use index::{Contents, Index, Sample};
pub use source::{Disk, Source};

use std::io;

/// Seconds a file may last: two days.
pub const SECONDS_MAX: i64 = 48 * 3_600;
/// Samples a track may have: 18 hours of 60 pictures a second.
pub const SAMPLES_MAX: usize = 4_000_000;

/// Why there is nothing to be made of a file, as a sentence for whoever uploaded it. All but [`Error::Read`] are the file's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its first bytes are no box of MP4.
    #[error("This is not an MP4 file; convert it with ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4 and send that.")]
    NotMp4,
    /// It is shorter than it says.
    #[error("The file is cut short ({what}); copy it again from where it is whole.")]
    CutShort {
        /// What is missing.
        what: &'static str,
    },
    /// Its boxes contradict each other.
    #[error("The file is damaged ({what}); write it anew with ffmpeg -i IN -c copy OUT.mp4 and send that.")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// It is protected.
    #[error("The file is encrypted, and only who has its key can show it; send one without copy protection.")]
    Encrypted,
    /// It has neither pictures nor sound.
    #[error("The file has neither pictures nor sound; choose another one.")]
    Empty,
    /// Its pictures are of another codec.
    #[error(
        "The pictures are {codec}, and only H.264 and HEVC can be taken; convert them with ffmpeg -i IN -c:v libx264 -c:a copy OUT.mp4."
    )]
    Pictures {
        /// Which.
        codec: String,
    },
    /// Its sound is of another codec.
    #[error(
        "The sound is {codec}, and only AAC-LC can be taken; convert it with ffmpeg -i IN -c:v copy -c:a aac OUT.mp4."
    )]
    Sound {
        /// Which.
        codec: String,
    },
    /// No player shows such pictures.
    #[error(
        "The pictures are {what}, which players can't show; convert them with ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -c:a copy OUT.mp4."
    )]
    Format {
        /// What they are.
        what: &'static str,
    },
    /// They are to be shown turned, which no HLS player does.
    #[error(
        "The pictures are to be turned when they are shown, which HLS players do not do; turn them for good with ffmpeg -i IN -c:v libx264 -c:a copy OUT.mp4."
    )]
    Turned,
    /// Its edit list leaves out, repeats or slows down something.
    #[error(
        "The file is a cut of longer material (its edit list has several pieces); write out the cut with ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4."
    )]
    Edited,
    /// A track changes its encoding on the way.
    #[error(
        "The encoding changes in the middle of the file; make it one with ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4."
    )]
    Changes,
    /// No picture can be begun with.
    #[error(
        "The pictures have no key frame that a player could begin with; convert them with ffmpeg -i IN -c:v libx264 -c:a copy OUT.mp4."
    )]
    NoKeyFrame,
    /// It is more than we take.
    #[error("The file {what}; cut it into several with ffmpeg -i IN -c copy -f segment -segment_time 3600 OUT%d.mp4.")]
    TooLong {
        /// In which respect.
        what: &'static str,
    },
    /// Ours: the bytes could not be read.
    #[error("the uploaded file can't be read")]
    Read(#[from] io::Error),
}

/// Reads the index of a file. It reads what is not media, a hundredth of the file, and the first bytes of key frames; it blocks as
/// long as the source does, and holds 24 bytes for each sample.
///
/// # Errors
/// Why there is nothing to be made of the file, or that it can't be read.
pub fn open(source: &(impl Source + ?Sized)) -> Result<Contents, Error> {
    let mut contents = index::read(source)?;
    if let Some(pictures) = &mut contents.pictures {
        keyframes::verify(source, pictures)?;
    }
    Ok(contents)
}
