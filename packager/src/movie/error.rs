use media::Track;

/// Why there is no MP4 file of a recording. The recording's own fault, or a disk's; trying again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MovieError {
    /// The init section is damaged, or none of ours.
    #[error("the init section can't be read, {what}; take another copy of it")]
    Init {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A chunk's head is damaged, or none of ours. Nothing of it was taken.
    #[error("chunk {fragment} of the {} can't be read, {what}; leave it out, and its time becomes a gap", name(.track))]
    Damaged {
        /// Of which track.
        track: Track,
        /// The chunk's number, from 0, with those that were refused.
        fragment: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A chunk begins more than 100 ms before the end of the one before, or more than 12 hours behind it. Nothing of it was taken.
    #[error("chunk {fragment} of the {} does not follow the one before in time; begin another file with it", name(.track))]
    Jump {
        /// Of which track.
        track: Track,
        /// The chunk's number, from 0, with those that were refused.
        fragment: usize,
    },
    /// The first chunk of a video track can't be decoded by itself. Nothing of it was taken.
    #[error(
        "chunk {fragment} of the video begins without a key frame; begin the file with the first chunk of a segment"
    )]
    NoKeyFrame {
        /// The chunk's number, from 0, with those that were refused.
        fragment: usize,
    },
    /// More samples than a file may have: 8,000,000 in a track, 37 hours at 60 pictures a second. Nothing of the chunk was taken.
    #[error("chunk {fragment} of the {} is one too many for a file; begin another one with it", name(.track))]
    Full {
        /// Of which track.
        track: Track,
        /// The chunk's number, from 0, with those that were refused.
        fragment: usize,
    },
    /// No track has any sample.
    #[error("there is no media to make a file of; choose a time in which something was recorded")]
    Empty,
    /// One track begins more than 12 hours behind another.
    #[error("picture and sound begin more than 12 hours apart; make a file of each")]
    Apart,
}

fn name(track: &Track) -> &'static str {
    match track {
        Track::Video => "video",
        Track::Audio => "audio",
    }
}
