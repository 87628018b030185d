//! RTMP for strangers and to servers: the server side of publishers and players, and an outbound publisher, all sans-I/O.
//!
//! Bytes go in, bytes and events come out; nothing here opens a socket, reads a clock, spawns or blocks. Everything a
//! peer can send is bounded (DESIGN decision 2, RELIABILITY section 0): chunk buffers grow only with bytes received, AMF0
//! is read without recursion, and whatever is malformed ends in an [`Error`] that ends that session alone.
//!
//! - [`ServerSession`]: handshake, `connect`, `publish` or `play`, media; the caller answers each request.
//! - [`packer`]: media as messages that all players of a stream can be sent as they are.
//! - [`flv`]: what a video or audio message holds, classic FLV and Enhanced RTMP, without copying.
//! - [`client::Publisher`]: connects, publishes and sends [`media::AccessUnit`]s.
//! - [`chunk`] and [`amf0`]: the two layers below, public for fuzzing and tests.
//!
//! It passes nothing on by itself: what players get is the caller's to send. The digest handshake is rml_rtmp's, fed exactly its 3,073 bytes.
//!
//! ```
//! use rtmp::{Event, ServerSession};
//! let mut session = ServerSession::new();
//! let from_socket: &[u8] = &[3];                 // C0, the first byte of a handshake
//! session.input(from_socket)?;
//! assert!(session.take_output().is_empty());     // S0, S1 and S2 go out together, once C1 is there
//! while let Some(event) = session.next_event() {
//!     match event {
//!         Event::PublishRequested(publish) if publish.name == "secret" => session.accept_publish()?,
//!         Event::PublishRequested(_) => session.refuse("NetStream.Publish.BadName", "That key is not known; check it."),
//!         Event::PlayRequested(_) => session.refuse("NetStream.Play.StreamNotFound", "Nothing of that name is live."),
//!         _media => {}
//!     }
//! }
//! # Ok::<(), rtmp::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod amf0;
pub mod chunk;
pub mod client;
mod connect;
pub mod flv;
mod handshake;
mod metadata;
pub mod packer;
mod server;
mod tag;

pub use server::{Event, Play, Publish, ServerSession};

/// Why a session can't go on. Always the peer's fault; the connection is to be closed, and nothing retried on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The first bytes are not an RTMP handshake.
    #[error("the connection does not begin with an RTMP handshake (version byte {version}, 3 expected)")]
    NotRtmp {
        /// The byte found.
        version: u8,
    },
    /// The handshake failed in a later step.
    #[error("the RTMP handshake failed: {0}")]
    Handshake(String),
    /// Set Chunk Size with 0 or the top bit set.
    #[error("a chunk size of {0} is not allowed")]
    ChunkSize(u32),
    /// A message longer than [`chunk::MESSAGE_BYTES_MAX`].
    #[error(
        "a message of {bytes} bytes is above the limit of 8 MiB; lower the bitrate or the keyframe size in the encoder"
    )]
    MessageTooLarge {
        /// The length announced.
        bytes: u32,
    },
    /// A long message of a type that has none: garbage, or a client out of step.
    #[error("a message of type {kind} with {bytes} bytes, which no client has a reason to send")]
    OddMessage {
        /// The message type id.
        kind: u8,
        /// The length announced.
        bytes: u32,
    },
    /// More unfinished message bytes than the connection may hold.
    #[error("more than {limit} bytes of unfinished messages")]
    TooMuchPartialData {
        /// The limit in force, which rises when a publish is accepted.
        limit: usize,
    },
    /// Too many chunk streams at a time.
    #[error("more than {limit} chunk streams {what}")]
    TooManyChunkStreams {
        /// The limit.
        limit: usize,
        /// Which kind.
        what: &'static str,
    },
    /// A new message began before the last one on its chunk stream was complete.
    #[error("chunk stream {chunk_stream} began a new message inside another")]
    InterruptedMessage {
        /// The chunk stream id.
        chunk_stream: u32,
    },
    /// A compressed chunk header on a chunk stream that had no full one.
    #[error("chunk stream {chunk_stream} begins with a compressed header")]
    MissingHeader {
        /// The chunk stream id.
        chunk_stream: u32,
    },
    /// A command could not be read.
    #[error("a command could not be read: {0}")]
    Command(#[from] amf0::Amf0Error),
    /// A command at a time when it makes no sense.
    #[error("the command {command} came {when}")]
    OutOfOrder {
        /// The command, at most 64 characters.
        command: String,
        /// What is wrong with the time.
        when: &'static str,
    },
    /// More than eight message streams.
    #[error("more than 8 message streams were created")]
    TooManyMessageStreams,
    /// More bytes than an unauthenticated connection may send.
    #[error("more than 64 KiB were sent before publishing or playing")]
    TooMuchBeforePublish,
    /// The far server refused us (client only).
    #[error("the server refused: {code}: {description}")]
    Refused {
        /// RTMP status code.
        code: String,
        /// Its words.
        description: String,
    },
    /// Media was to be sent while not publishing (client only).
    #[error("media can be sent only while publishing")]
    NotPublishing,
}
