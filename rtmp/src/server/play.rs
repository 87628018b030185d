//! The play side of a session: what a player asks for, and what it is told. Its media is not made here; all players of a
//! stream share it (see [`crate::packer`]).

use super::{Event, NAME_BYTES_MAX, Phase, ServerSession, Wish};
use crate::chunk::kind;
use crate::{Error, packer};

/// User control events (section 7.1.7).
const STREAM_BEGIN: [u8; 2] = [0, 0];
const STREAM_END: [u8; 2] = [0, 1];

/// A play request. `Debug` hides the name and the query: people paste keys into players too.
#[derive(Clone, PartialEq, Eq)]
pub struct Play {
    /// Application, without slashes around it and without its query.
    pub app: String,
    /// Stream name up to the first `?`, at most 1,024 bytes.
    pub name: String,
    /// The query of the stream name, or, when that is empty, of the application.
    pub query: String,
}

impl std::fmt::Debug for Play {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Play").field("app", &self.app).finish_non_exhaustive()
    }
}

impl ServerSession {
    /// Answers the play request with yes. Send the output first and then, between outputs, what a [`crate::packer::Packer`]
    /// made: its chunk size holds from here on. Nothing happens without a request.
    ///
    /// # Errors
    /// As [`Self::input`].
    pub fn accept_play(&mut self) -> Result<(), Error> {
        let Phase::Deciding { stream, wish: Wish::Play } = self.phase else { return Ok(()) };
        self.phase = Phase::Playing { stream };
        self.writer.set_chunk_size(&mut self.out, packer::CHUNK_SIZE);
        self.control(kind::USER_CONTROL, &[&STREAM_BEGIN, &stream.to_be_bytes()[..]].concat());
        self.on_status(stream, "status", "NetStream.Play.Reset", "What was played before is over.");
        self.on_status(stream, "status", "NetStream.Play.Start", "Playing begins.");
        self.read_held()
    }

    /// Tells a player that the stream is over, and ends the session. Send the output, then close the connection. Nothing
    /// happens unless it plays.
    pub fn end_play(&mut self, text: &str) {
        let Phase::Playing { stream } = self.phase else { return };
        self.on_status(stream, "status", "NetStream.Play.UnpublishNotify", text);
        self.on_status(stream, "status", "NetStream.Play.Stop", text);
        self.control(kind::USER_CONTROL, &[&STREAM_END, &stream.to_be_bytes()[..]].concat());
        self.phase = Phase::Closed;
    }

    pub(super) fn play(&mut self, stream: u32, name: &str) -> Result<(), &'static str> {
        let connect = self.decide(stream, Wish::Play)?;
        if stream != packer::MESSAGE_STREAM {
            let text = "Media is played on the first message stream of a connection alone; open another connection.";
            self.refuse("NetStream.Play.Failed", text);
            return Ok(());
        }
        if name.len() > NAME_BYTES_MAX {
            let text = "The stream's name is longer than 1,024 bytes; copy the address again.";
            self.refuse("NetStream.Play.StreamNotFound", text);
            return Ok(());
        }
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        let query = if query.is_empty() { connect.query } else { query.to_owned() };
        self.events.push_back(Event::PlayRequested(Play { app: connect.app, name: name.to_owned(), query }));
        Ok(())
    }

    /// The player's goodbye, which needs no answer.
    pub(super) fn stop_playing(&mut self) {
        if let Phase::Playing { .. } = self.phase {
            self.events.push_back(Event::PlayStopped);
            self.phase = Phase::Closed;
        }
    }
}
