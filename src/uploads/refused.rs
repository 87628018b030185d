//! [`Refused`]: why an upload is not taken, or does not go on.

use std::io;

/// Why an upload is not taken, or does not go on. Each is a sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("This server takes no files; set archive.upload_max_gib.")]
    Closed,
    #[error("There is no such upload; it ended, was deleted or nobody went on with it. Begin again.")]
    Unknown,
    #[error(
        "The file has {size} bytes, and at most {most} are taken; cut it into several, or raise archive.upload_max_gib."
    )]
    TooLarge { size: u64, most: u64 },
    #[error("The file has no bytes; choose another one.")]
    Empty,
    #[error("{most} uploads are on their way or being imported already; wait until one is done, or delete one.")]
    TooMany { most: usize },
    #[error(
        "There is no room for the file and the recordings that are made of what is uploaded, {needed} MiB together; delete recordings, or raise archive.quota_gib."
    )]
    NoRoom { needed: u64 },
    #[error("Another request writes to this upload; wait until it has ended.")]
    Busy,
    #[error("The upload is at byte {at}, so nothing can be added elsewhere; ask where it is and go on there.")]
    Elsewhere { at: u64 },
    #[error("More came than the file was said to have; begin again with its real size.")]
    Longer,
    #[error("This file is whole and being made a recording; delete the recording instead.")]
    Whole,
    #[error("The upload broke off; ask where it is and go on there.")]
    BrokeOff,
    #[error("This is not an MP4 file; convert it with ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4 and send that.")]
    NotMp4,
    #[error("The disk did not take it; try again, and look at the server's log.")]
    Disk(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Refused {
    /// For metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "no_uploads",
            Self::Unknown => "no_such_upload",
            Self::TooLarge { .. } => "too_large",
            Self::Empty => "empty",
            Self::TooMany { .. } => "too_many_uploads",
            Self::NoRoom { .. } => "no_room",
            Self::Busy => "busy",
            Self::Elsewhere { .. } => "wrong_offset",
            Self::Longer => "too_long",
            Self::Whole => "whole",
            Self::BrokeOff => "broke_off",
            Self::NotMp4 => "not_mp4",
            Self::Disk(_) => "disk",
            Self::Store(_) => "refused",
        }
    }
}
