use crate::amf0::{self, Value, object};
use crate::chunk::{ChunkReader, ChunkWriter, Message, kind};
use crate::connect::Connect;
use crate::handshake::Handshake;
use crate::{Error, metadata};
use bytes::{Bytes, BytesMut};
use media::Announced;
use std::collections::VecDeque;

mod play;

pub use play::Play;

/// Chunk size of our answers. Players are told a larger one before their media.
const CHUNK_SIZE: u32 = 4096;
/// Bytes after which the publisher shall expect an acknowledgement from us, and we from it.
const WINDOW_BYTES: u32 = 2_500_000;
/// The smallest acknowledgement window honoured; at most one acknowledgement goes out per input anyway.
const WINDOW_BYTES_MIN: u32 = 4096;
/// Message streams of one connection.
const MESSAGE_STREAMS_MAX: u32 = 8;
/// Bytes behind the handshake that may come before a publish or a play is accepted.
const STRANGER_BYTES_MAX: u64 = 64 << 10;
/// A stream name longer than this is no key.
const NAME_BYTES_MAX: usize = 1024;
/// Sub-messages looked at in one aggregate message.
const AGGREGATE_MAX: usize = 4096;

/// What happened in a session. Timestamps are milliseconds modulo 2^32, as sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The peer wants to publish. Answer with [`ServerSession::accept_publish`] or [`ServerSession::refuse`]; until
    /// then nothing more is read.
    PublishRequested(Publish),
    /// `onMetaData`.
    Metadata(Announced),
    /// A video message; see [`crate::flv::parse_video`].
    Video {
        /// Decode time.
        timestamp: u32,
        /// The message, possibly empty.
        payload: Bytes,
    },
    /// An audio message; see [`crate::flv::parse_audio`].
    Audio {
        /// Presentation time.
        timestamp: u32,
        /// The message, possibly empty.
        payload: Bytes,
    },
    /// The publisher said goodbye (FCUnpublish, deleteStream, closeStream). Nothing more is read.
    Unpublished,
    /// The peer wants to play. Answer with [`ServerSession::accept_play`] or [`ServerSession::refuse`]; until then nothing
    /// more is read.
    PlayRequested(Play),
    /// The player said goodbye (deleteStream, closeStream). Nothing more is read.
    PlayStopped,
}

/// A publish request. `Debug` hides the name and the query, as they hold the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// Application, without slashes around it and without its query.
    pub app: String,
    /// Stream name up to the first `?`, at most 1,024 bytes.
    pub name: String,
    /// The query of the stream name, or, when that is empty, of the application.
    pub query: String,
    /// `flashVer` of the connect command, at most 128 characters.
    pub encoder: Option<String>,
    /// The peer speaks Enhanced RTMP.
    pub is_enhanced: bool,
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish").field("app", &self.app).field("encoder", &self.encoder).finish_non_exhaustive()
    }
}

enum Phase {
    Handshake(Box<Handshake>),
    /// Waiting for `connect`.
    Fresh,
    Connected(Connect),
    /// A request on this message stream waits for the caller.
    Deciding {
        stream: u32,
        wish: Wish,
    },
    Publishing {
        stream: u32,
    },
    Playing {
        stream: u32,
    },
    Closed,
}

/// What a peer asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Publish,
    Play,
}

/// The server side of one connection. Does no I/O and reads no clock: give it what came from the socket, send what
/// [`Self::take_output`] gives (in one write), and act on its events.
pub struct ServerSession {
    phase: Phase,
    reader: ChunkReader,
    writer: ChunkWriter,
    out: BytesMut,
    events: VecDeque<Event>,
    /// Input that came behind a request, to be read after the answer.
    held: Vec<u8>,
    /// Bytes behind the handshake, for acknowledgements and the stranger's limit.
    received: u64,
    acknowledged: u64,
    window: u32,
    streams_created: u32,
    streams_open: u32,
    /// It sent FCPublish and expects `onFCPublish` before the start.
    is_fmle: bool,
}

impl Default for ServerSession {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerSession {
    /// A session at the first byte of a connection.
    pub fn new() -> Self {
        Self {
            phase: Phase::Handshake(Box::new(Handshake::server())),
            reader: ChunkReader::new(),
            writer: ChunkWriter::new(),
            out: BytesMut::new(),
            events: VecDeque::new(),
            held: Vec::new(),
            received: 0,
            acknowledged: 0,
            window: WINDOW_BYTES,
            streams_created: 0,
            streams_open: 0,
            is_fmle: false,
        }
    }

    /// Reads what came from the peer, in order. Output and events may be there afterwards, also after an error.
    ///
    /// # Errors
    /// When the session can't go on; [`Self::refuse`] may then say why to the peer, and the connection is to be closed.
    pub fn input(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if let Phase::Handshake(handshake) = &mut self.phase {
            if !handshake.read(&mut bytes, &mut self.out)? {
                return Ok(());
            }
            self.phase = Phase::Fresh;
        }
        self.received += bytes.len() as u64;
        let is_stranger = !matches!(self.phase, Phase::Publishing { .. } | Phase::Playing { .. } | Phase::Closed);
        if is_stranger && self.received > STRANGER_BYTES_MAX {
            return Err(Error::TooMuchBeforePublish);
        }
        self.read(&mut bytes)?;
        if matches!(self.phase, Phase::Deciding { .. }) {
            self.held.extend_from_slice(bytes);
        }
        if self.received - self.acknowledged >= u64::from(self.window) {
            self.acknowledged = self.received;
            self.control(kind::ACKNOWLEDGEMENT, &(self.received as u32).to_be_bytes());
        }
        Ok(())
    }

    /// The next event, in order.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Everything to send now; empty when there is nothing.
    pub fn take_output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Whether [`Self::take_output`] has something to give.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// The handshake is over.
    pub fn is_handshaken(&self) -> bool {
        !matches!(self.phase, Phase::Handshake(_))
    }

    /// Answers the publish request with yes, and reads what was held behind it. Nothing happens without a request.
    ///
    /// # Errors
    /// As [`Self::input`].
    pub fn accept_publish(&mut self) -> Result<(), Error> {
        let Phase::Deciding { stream, wish: Wish::Publish } = self.phase else { return Ok(()) };
        self.phase = Phase::Publishing { stream };
        self.reader.trust();
        self.control(kind::USER_CONTROL, &[&[0, 0], &stream.to_be_bytes()[..]].concat());
        if self.is_fmle {
            let start = status("status", "NetStream.Publish.Start", "Publishing may begin.");
            self.command(stream, "onFCPublish", 0.0, &[Value::Null, start]);
        }
        self.on_status(stream, "status", "NetStream.Publish.Start", "Publishing may begin.");
        self.read_held()
    }

    /// Ends the session with an error status on its message stream, at any time after the handshake: a request
    /// denied, unusable media, an operator's stop. Send the output, then close the connection.
    pub fn refuse(&mut self, code: &str, text: &str) {
        let stream = match self.phase {
            Phase::Deciding { stream, .. } | Phase::Publishing { stream } | Phase::Playing { stream } => stream,
            Phase::Connected(_) => u32::from(self.streams_open > 0),
            Phase::Handshake(_) | Phase::Fresh | Phase::Closed => return,
        };
        self.on_status(stream, "error", code, text);
        self.phase = Phase::Closed;
        self.held = Vec::new();
    }

    fn read_held(&mut self) -> Result<(), Error> {
        let held = std::mem::take(&mut self.held);
        self.read(&mut held.as_slice())
    }

    fn read(&mut self, bytes: &mut &[u8]) -> Result<(), Error> {
        while !matches!(self.phase, Phase::Deciding { .. } | Phase::Closed) {
            let Some(message) = self.reader.read(bytes)? else { break };
            self.message(message)?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<(), Error> {
        match message.kind {
            kind::VIDEO | kind::AUDIO | kind::DATA | kind::DATA_AMF3 => self.media(message),
            kind::COMMAND => self.read_command(message.stream, &message.payload)?,
            // AMF3 commands carry AMF0 behind a zero byte.
            kind::COMMAND_AMF3 => self.read_command(message.stream, message.payload.get(1..).unwrap_or_default())?,
            kind::AGGREGATE => self.aggregate(&message),
            kind::WINDOW_SIZE => {
                if let Some(size) = message.payload.first_chunk().map(|b| u32::from_be_bytes(*b)) {
                    self.window = size.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES);
                }
            }
            kind::USER_CONTROL if message.payload.starts_with(&[0, 6]) => {
                if let Some(stamp) = message.payload.get(2..6) {
                    self.control(kind::USER_CONTROL, &[&[0, 7], stamp].concat());
                }
            }
            // The rest means nothing to us; real clients send types nobody knows (MediaMTX 4006).
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, message: Message) {
        if !matches!(self.phase, Phase::Publishing { .. }) {
            return;
        }
        let Message { kind, timestamp, payload, .. } = message;
        match kind {
            kind::VIDEO => self.events.push_back(Event::Video { timestamp, payload }),
            kind::AUDIO => self.events.push_back(Event::Audio { timestamp, payload }),
            _ => {
                let body = if kind == kind::DATA_AMF3 { payload.get(1..).unwrap_or_default() } else { &payload[..] };
                // Odd metadata is no reason to end a show.
                let Ok(values) = amf0::read_all(body) else { return };
                let mut values = values.iter().skip_while(|v| v.as_str() == Some("@setDataFrame"));
                if values.next().and_then(Value::as_str) == Some("onMetaData")
                    && let Some(metadata) = values.next()
                {
                    self.events.push_back(Event::Metadata(metadata::announced(metadata)));
                }
            }
        }
    }

    /// FLV tags with a back pointer each (section 7.1.6); stamps are relative to the first.
    fn aggregate(&mut self, message: &Message) {
        let mut at = 0;
        let mut base = None;
        for _ in 0..AGGREGATE_MAX {
            let Some(header) = message.payload.get(at..at + 11) else { return };
            let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
            let stamp = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
            let Some(end) = Some(at + 11 + length).filter(|end| *end <= message.payload.len()) else { return };
            let timestamp = message.timestamp.wrapping_add(stamp.wrapping_sub(*base.get_or_insert(stamp)));
            let kind = header[0];
            if matches!(kind, kind::VIDEO | kind::AUDIO | kind::DATA) {
                self.media(Message {
                    kind,
                    stream: message.stream,
                    timestamp,
                    payload: message.payload.slice(at + 11..end),
                });
            }
            at = end + 4;
        }
    }

    fn read_command(&mut self, stream: u32, body: &[u8]) -> Result<(), Error> {
        let values = amf0::read_all(body)?;
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let argument = |n: usize| values.get(n + 3);
        // It goes into a log: nothing in it may look like the end of a line.
        let shown = || name.chars().filter(|c| !c.is_control()).take(64).collect();
        let out_of_order = |when| Error::OutOfOrder { command: shown(), when };
        if let Phase::Fresh = self.phase {
            if name != "connect" {
                return Err(out_of_order("before connect"));
            }
            self.connect(transaction, Connect::read(values.get(2).unwrap_or(&Value::Null)));
            return Ok(());
        }
        match name {
            "connect" => return Err(out_of_order("twice")),
            "createStream" => self.create_stream(transaction)?,
            "FCPublish" => {
                self.is_fmle = true;
                self.result(transaction, Value::Undefined);
            }
            "releaseStream" | "_checkbw" => self.result(transaction, Value::Undefined),
            "getStreamLength" => self.result(transaction, 0.0.into()),
            "publish" => {
                let name = argument(0).and_then(Value::as_str).unwrap_or_default();
                self.publish(stream, name).map_err(out_of_order)?;
            }
            "play" => {
                let name = argument(0).and_then(Value::as_str).unwrap_or_default();
                self.play(stream, name).map_err(out_of_order)?;
            }
            "deleteStream" => {
                self.streams_open = self.streams_open.saturating_sub(1);
                self.unpublish();
                self.stop_playing();
            }
            "FCUnpublish" => self.unpublish(),
            "closeStream" => {
                self.unpublish();
                self.stop_playing();
            }
            // What we do not know needs no answer: encoders send vendor commands and do not wait.
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, connect: Connect) {
        self.control(kind::WINDOW_SIZE, &WINDOW_BYTES.to_be_bytes());
        self.control(kind::PEER_BANDWIDTH, &[&WINDOW_BYTES.to_be_bytes()[..], &[2]].concat());
        self.writer.set_chunk_size(&mut self.out, CHUNK_SIZE);
        let [properties, information] = connect.answer();
        self.command(0, "_result", transaction, &[properties, information]);
        self.phase = Phase::Connected(connect);
    }

    fn create_stream(&mut self, transaction: f64) -> Result<(), Error> {
        if self.streams_open >= MESSAGE_STREAMS_MAX {
            return Err(Error::TooManyMessageStreams);
        }
        self.streams_open += 1;
        self.streams_created += 1;
        self.result(transaction, f64::from(self.streams_created).into());
        Ok(())
    }

    /// A request on a message stream, of which a connection has one in its life.
    fn decide(&mut self, stream: u32, wish: Wish) -> Result<Connect, &'static str> {
        match std::mem::replace(&mut self.phase, Phase::Deciding { stream, wish }) {
            Phase::Connected(connect) => Ok(connect),
            other => {
                let is_playing = matches!(other, Phase::Playing { .. });
                self.phase = other;
                Err(if is_playing { "while already playing" } else { "while already publishing" })
            }
        }
    }

    fn publish(&mut self, stream: u32, name: &str) -> Result<(), &'static str> {
        let connect = self.decide(stream, Wish::Publish)?;
        if name.len() > NAME_BYTES_MAX {
            self.refuse(
                "NetStream.Publish.BadName",
                "The stream key is longer than 1,024 bytes; copy it again from the server.",
            );
            return Ok(());
        }
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        self.events.push_back(Event::PublishRequested(Publish {
            app: connect.app,
            name: name.to_owned(),
            query: if query.is_empty() { connect.query } else { query.to_owned() },
            encoder: connect.encoder,
            is_enhanced: connect.is_enhanced,
        }));
        Ok(())
    }

    fn unpublish(&mut self) {
        if let Phase::Publishing { stream } = self.phase {
            self.on_status(stream, "status", "NetStream.Unpublish.Success", "The stream has ended.");
            self.events.push_back(Event::Unpublished);
            self.phase = Phase::Closed;
        }
    }

    fn on_status(&mut self, stream: u32, level: &str, code: &str, text: &str) {
        self.command(stream, "onStatus", 0.0, &[Value::Null, status(level, code, text)]);
    }

    fn result(&mut self, transaction: f64, value: Value) {
        self.command(0, "_result", transaction, &[Value::Null, value]);
    }

    fn command(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut payload = BytesMut::new();
        amf0::write(&mut payload, &name.into());
        amf0::write(&mut payload, &transaction.into());
        arguments.iter().for_each(|a| amf0::write(&mut payload, a));
        let message = Message { kind: kind::COMMAND, stream, timestamp: 0, payload: payload.freeze() };
        self.writer.write(&mut self.out, if stream == 0 { 3 } else { 5 }, &message);
    }

    fn control(&mut self, kind: u8, payload: &[u8]) {
        let message = Message { kind, stream: 0, timestamp: 0, payload: Bytes::copy_from_slice(payload) };
        self.writer.write(&mut self.out, 2, &message);
    }
}

fn status(level: &str, code: &str, text: &str) -> Value {
    object([("level", level.into()), ("code", code.into()), ("description", text.into())])
}

#[cfg(test)]
mod tests;
