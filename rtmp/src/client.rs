//! An outbound publisher, sans-I/O: connects to any RTMP server, publishes, and sends access units.
//!
//! What the far server sends goes through the same bounded reader as a stranger's bytes. HEVC and Opus go out as
//! Enhanced RTMP, which the server must know. Nothing is queued here but [`Publisher::take_output`]'s bytes: a caller
//! with a slow socket must look at [`Publisher::output_len`] and drop whole groups of pictures itself.
//!
//! ```
//! use rtmp::client::{Publisher, PublisherEvent, Target};
//! let target = Target { app: "live".into(), tc_url: "rtmp://127.0.0.1:1935/live".into(), name: "KEY".into() };
//! let mut publisher = Publisher::new(target)?;
//! let to_socket = publisher.take_output();          // C0 and C1
//! assert_eq!(to_socket.len(), 1537);
//! // loop: publisher.input(from_socket)?; send take_output(); until PublisherEvent::Started
//! assert_eq!(publisher.next_event(), None::<PublisherEvent>);
//! # Ok::<(), rtmp::Error>(())
//! ```

use crate::Error;
use crate::amf0::{self, Value, object};
use crate::chunk::{ChunkReader, ChunkWriter, Message, kind};
use crate::connect;
use crate::handshake::Handshake;
use crate::tag;
use bytes::{Bytes, BytesMut};
use media::{AccessUnit, Announced, AudioConfig, Config, MediaTime, VideoConfig};
use std::collections::VecDeque;

/// Large enough that a frame is a handful of chunks; what OBS and ffmpeg servers accept (SRS uses 60,000).
const CHUNK_SIZE: u32 = 60_000;
/// Characters of a server's words that are passed on: more than a key has, so that who strikes it out finds it whole.
const WORDS_MAX: usize = 1_024;
/// Chunk streams as librtmp numbers them.
const COMMANDS: u8 = 3;
const VIDEO: u8 = 6;
const AUDIO: u8 = 4;
/// Transaction numbers of the commands whose answers matter.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;

/// Where to publish. `Debug` hides the name, which is the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Application, such as `live` or `live2`.
    pub app: String,
    /// The URL without the key, such as `rtmp://a.example/live2`.
    pub tc_url: String,
    /// Stream name with its query: the key.
    pub name: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("app", &self.app).field("tc_url", &self.tc_url).finish_non_exhaustive()
    }
}

/// What happened on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEvent {
    /// The server took the `connect` command; the key has not been sent yet. Who only wants to know whether a server is there
    /// closes now, without sending what [`Publisher::take_output`] has.
    Connected,
    /// The server accepted; media may be sent.
    Started,
    /// The server ended the publishing in a friendly way.
    Ended {
        /// RTMP status code.
        code: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Connecting,
    Creating,
    Asking { stream: u32 },
    Publishing { stream: u32 },
    Ended,
}

/// One outbound connection. See the module.
pub struct Publisher {
    target: Target,
    handshake: Handshake,
    phase: Phase,
    reader: ChunkReader,
    writer: ChunkWriter,
    out: BytesMut,
    events: VecDeque<PublisherEvent>,
    received: u64,
    acknowledged: u64,
    window: u32,
    /// The decode time that became stamp 0.
    base: Option<MediaTime>,
}

impl Publisher {
    /// A session at the first byte; C0 and C1 are in the output.
    ///
    /// # Errors
    /// When the handshake's random part can't be made.
    pub fn new(target: Target) -> Result<Self, Error> {
        let mut out = BytesMut::new();
        let handshake = Handshake::client(&mut out)?;
        Ok(Self {
            target,
            handshake,
            phase: Phase::Handshake,
            reader: ChunkReader::new(),
            writer: ChunkWriter::new(),
            out,
            events: VecDeque::new(),
            received: 0,
            acknowledged: 0,
            window: u32::MAX,
            base: None,
        })
    }

    /// Reads what came from the server.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's words, or malformed bytes; the connection is to be closed.
    pub fn input(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if self.phase == Phase::Handshake {
            if !self.handshake.read(&mut bytes, &mut self.out)? {
                return Ok(());
            }
            self.connect();
        }
        self.received += bytes.len() as u64;
        while let Some(message) = self.reader.read(&mut bytes)? {
            self.message(&message)?;
        }
        if self.received - self.acknowledged >= u64::from(self.window) {
            self.acknowledged = self.received;
            self.control(kind::ACKNOWLEDGEMENT, &(self.received as u32).to_be_bytes());
        }
        Ok(())
    }

    /// The next event, in order.
    pub fn next_event(&mut self) -> Option<PublisherEvent> {
        self.events.pop_front()
    }

    /// Everything to send now.
    pub fn take_output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Bytes that wait to be taken.
    pub fn output_len(&self) -> usize {
        self.out.len()
    }

    /// Media may be sent.
    pub fn is_publishing(&self) -> bool {
        matches!(self.phase, Phase::Publishing { .. })
    }

    /// The server has been told the name, which is the key; what it says from now on may be about that.
    pub fn has_shown_name(&self) -> bool {
        matches!(self.phase, Phase::Creating | Phase::Asking { .. } | Phase::Publishing { .. })
    }

    /// Sends `onMetaData` made of the tracks to come. Optional, before the configurations.
    ///
    /// # Errors
    /// [`Error::NotPublishing`].
    pub fn send_metadata(
        &mut self,
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
        announced: &Announced,
    ) -> Result<(), Error> {
        let entries = tag::metadata(video, audio, announced);
        let mut payload = BytesMut::new();
        for value in ["@setDataFrame".into(), "onMetaData".into(), Value::Object(entries)] {
            amf0::write(&mut payload, &value);
        }
        self.media(AUDIO, kind::DATA, 0, payload.freeze())
    }

    /// Sends the decoder configuration record; needed before the first picture and at each change.
    ///
    /// # Errors
    /// [`Error::NotPublishing`].
    pub fn send_video_config(&mut self, config: &VideoConfig, at: MediaTime) -> Result<(), Error> {
        let payload = [tag::video_config(config.codec), &config.record].concat().into();
        let stamp = self.stamp(at);
        self.media(VIDEO, kind::VIDEO, stamp, payload)
    }

    /// Sends the audio configuration; needed before the first frame and at each change.
    ///
    /// # Errors
    /// [`Error::NotPublishing`].
    pub fn send_audio_config(&mut self, config: &AudioConfig, at: MediaTime) -> Result<(), Error> {
        let payload = [tag::audio_config(config.codec), &config.record].concat().into();
        let stamp = self.stamp(at);
        self.media(AUDIO, kind::AUDIO, stamp, payload)
    }

    /// Sends one unit. The first thing sent has stamp 0; units before it are stamped 0 too. Stamps wrap at 32 bits (49.7 days).
    ///
    /// # Errors
    /// [`Error::NotPublishing`].
    pub fn send_unit(&mut self, unit: &AccessUnit) -> Result<(), Error> {
        let stamp = self.stamp(unit.dts);
        let head = tag::Head::of(unit, self.stamp(unit.pts).wrapping_sub(stamp));
        let payload = [head.as_slice(), &unit.data].concat().into();
        match unit.config {
            Config::Video(_) => self.media(VIDEO, kind::VIDEO, stamp, payload),
            Config::Audio(_) => self.media(AUDIO, kind::AUDIO, stamp, payload),
        }
    }

    /// Says goodbye; send the output, then close.
    pub fn finish(&mut self) {
        if let Phase::Asking { stream } | Phase::Publishing { stream } = self.phase {
            let name = self.target.name.as_str().into();
            self.command(0, "FCUnpublish", 6.0, &[Value::Null, name]);
            self.command(0, "deleteStream", 7.0, &[Value::Null, f64::from(stream).into()]);
        }
        self.phase = Phase::Ended;
    }

    fn stamp(&mut self, at: MediaTime) -> u32 {
        let base = *self.base.get_or_insert(at);
        millis(at - base).max(0) as u32
    }

    fn media(&mut self, chunk_stream: u8, kind: u8, timestamp: u32, payload: Bytes) -> Result<(), Error> {
        let Phase::Publishing { stream } = self.phase else { return Err(Error::NotPublishing) };
        self.writer.write(&mut self.out, chunk_stream, &Message { kind, stream, timestamp, payload });
        Ok(())
    }

    fn connect(&mut self) {
        self.phase = Phase::Connecting;
        self.writer.set_chunk_size(&mut self.out, CHUNK_SIZE);
        let mut command = object([
            ("app", self.target.app.as_str().into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; Weir)".into()),
            ("tcUrl", self.target.tc_url.as_str().into()),
        ]);
        if let Value::Object(entries) = &mut command {
            entries.extend(connect::enhanced().map(|(k, v)| (k.to_owned(), v)));
        }
        self.command(0, "connect", CONNECT, &[command]);
    }

    fn message(&mut self, message: &Message) -> Result<(), Error> {
        match message.kind {
            kind::COMMAND => self.read_command(&message.payload),
            kind::COMMAND_AMF3 => self.read_command(message.payload.get(1..).unwrap_or_default()),
            kind::WINDOW_SIZE => {
                if let Some(size) = message.payload.first_chunk().map(|b| u32::from_be_bytes(*b)) {
                    self.window = size.max(4096);
                }
                Ok(())
            }
            kind::USER_CONTROL if message.payload.starts_with(&[0, 6]) => {
                if let Some(stamp) = message.payload.get(2..6) {
                    self.control(kind::USER_CONTROL, &[&[0, 7], stamp].concat());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_command(&mut self, body: &[u8]) -> Result<(), Error> {
        let values = amf0::read_all(body)?;
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let text = |key: &str| {
            let found = values.iter().skip(2).rev().find_map(|v| v.get(key)).and_then(Value::as_str);
            found.unwrap_or_default().chars().take(WORDS_MAX).collect::<String>()
        };
        let refused = || Error::Refused { code: text("code"), description: text("description") };
        match (name, self.phase) {
            ("_result", Phase::Connecting) if transaction == CONNECT => self.create_stream(),
            ("_result", Phase::Creating) if transaction == CREATE_STREAM => {
                let stream = values.get(3).and_then(Value::as_number).unwrap_or(1.0) as u32;
                self.phase = Phase::Asking { stream };
                let name = self.target.name.as_str().into();
                self.command(stream, "publish", 5.0, &[Value::Null, name, "live".into()]);
            }
            // releaseStream and FCPublish are courtesies that many servers do not know.
            ("_error", _) if transaction == CONNECT || transaction == CREATE_STREAM || transaction == 5.0 => {
                return Err(refused());
            }
            ("onStatus", phase) => {
                let code = text("code");
                match phase {
                    Phase::Asking { stream } if code == "NetStream.Publish.Start" => {
                        self.phase = Phase::Publishing { stream };
                        self.reader.trust();
                        self.events.push_back(PublisherEvent::Started);
                    }
                    _ if text("level") == "error" => return Err(refused()),
                    _ if code.starts_with("NetStream.Unpublish") => {
                        self.events.push_back(PublisherEvent::Ended { code })
                    }
                    _ => {}
                }
            }
            ("close", _) => {
                return Err(Error::Refused {
                    code: "close".to_owned(),
                    description: "the server closed the connection".to_owned(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn create_stream(&mut self) {
        self.phase = Phase::Creating;
        self.events.push_back(PublisherEvent::Connected);
        let name: Value = self.target.name.as_str().into();
        self.command(0, "releaseStream", 2.0, &[Value::Null, name.clone()]);
        self.command(0, "FCPublish", 3.0, &[Value::Null, name]);
        self.command(0, "createStream", CREATE_STREAM, &[Value::Null]);
    }

    fn command(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut payload = BytesMut::new();
        amf0::write(&mut payload, &name.into());
        amf0::write(&mut payload, &transaction.into());
        arguments.iter().for_each(|a| amf0::write(&mut payload, a));
        let message = Message { kind: kind::COMMAND, stream, timestamp: 0, payload: payload.freeze() };
        self.writer.write(&mut self.out, COMMANDS, &message);
    }

    fn control(&mut self, kind: u8, payload: &[u8]) {
        let message = Message { kind, stream: 0, timestamp: 0, payload: Bytes::copy_from_slice(payload) };
        self.writer.write(&mut self.out, 2, &message);
    }
}

/// Rounded to the nearest millisecond.
fn millis(span: MediaTime) -> i64 {
    (span.ticks() + 45).div_euclid(90)
}
