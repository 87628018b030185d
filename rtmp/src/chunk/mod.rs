//! Messages in chunks (RTMP specification 1.0, section 5.3): a bounded reader and a plain writer.
//!
//! The reader holds one buffer per chunk stream, so any legal interleaving works, and gives the same messages however
//! the bytes are split. It acts on Set Chunk Size and Abort itself, as they change how the next byte is read.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::ChunkReader;
pub use writer::ChunkWriter;

use bytes::Bytes;

/// The longest message taken: above the largest keyframe seen in the field (4.3 MB at 2160p60).
pub const MESSAGE_BYTES_MAX: u32 = 8 << 20;
/// The longest message that is neither media nor data: commands end here anyway (see [`crate::amf0::BYTES_MAX`]).
pub const ODD_MESSAGE_BYTES_MAX: u32 = 64 << 10;
/// Chunk streams that may have an unfinished message at a time.
pub const PARTIAL_STREAMS_MAX: usize = 64;
/// Chunk streams remembered; ids reach to 65,599, but nobody uses more than a handful.
pub const STREAMS_MAX: usize = 1024;
/// Unfinished message bytes before a publish is accepted, and after.
pub const PARTIAL_BYTES_STRANGER: usize = 64 << 10;
/// See [`PARTIAL_BYTES_STRANGER`].
pub const PARTIAL_BYTES_PUBLISHER: usize = 16 << 20;
/// The largest chunk size that can mean anything, as message lengths have 24 bits. Real encoders announce more.
pub const CHUNK_SIZE_MAX: u32 = 0xff_ffff;

/// Message type ids (sections 5.4 and 7.1).
pub mod kind {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const PEER_BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data in AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// Command in AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0.
    pub const DATA: u8 = 18;
    /// Command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Aggregate of FLV tags.
    pub const AGGREGATE: u8 = 22;

    /// Whether a message of this type may be longer than [`super::ODD_MESSAGE_BYTES_MAX`].
    pub(super) fn may_be_long(kind: u8) -> bool {
        matches!(kind, AUDIO | VIDEO | AGGREGATE | DATA | DATA_AMF3)
    }
}

/// One whole RTMP message. Cloning shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// See [`kind`].
    pub kind: u8,
    /// Message stream id.
    pub stream: u32,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// At most [`MESSAGE_BYTES_MAX`] bytes.
    pub payload: Bytes,
}
