//! The worker's end of the wire: messages from the server on standard input, answers through one writing thread.

use crate::Error;
use bytes::{Bytes, BytesMut};
use media::wire::{self, FromWorker, ToWorker};
use std::io::{BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Answers waiting for the socket. The server always reads, so they wait only while it is very busy; then the encoders do.
const ANSWERS_MAX: usize = 64;
/// Time between two [`FromWorker::Stats`].
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Takes messages; blocks until one is there.
#[derive(Debug)]
pub(crate) struct Inbox {
    stream: BufReader<UnixStream>,
}

/// Gives messages; clones share the queue. Blocks while it is full.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queue: SyncSender<FromWorker>,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Postman {
    thread: JoinHandle<()>,
}

/// Opens the link on standard input. `stats` makes the heartbeat.
///
/// # Errors
/// When standard input is no socket: someone ran the worker by hand.
pub(crate) fn open(stats: impl Fn() -> FromWorker + Send + 'static) -> Result<(Inbox, Outbox, Postman), Error> {
    let io = |source| Error::Link { source };
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(io)?);
    let writer = stream.try_clone().map_err(io)?;
    writer.peer_addr().map_err(io)?;
    let (queue, answers) = sync_channel(ANSWERS_MAX);
    let thread = std::thread::Builder::new()
        .name("postman".to_owned())
        .spawn(move || deliver(writer, &answers, stats))
        .map_err(io)?;
    Ok((Inbox { stream: BufReader::with_capacity(64 << 10, stream) }, Outbox { queue }, Postman { thread }))
}

fn deliver(mut stream: UnixStream, answers: &Receiver<FromWorker>, stats: impl Fn() -> FromWorker) {
    let parent = rustix::process::getppid();
    let mut bytes = BytesMut::new();
    let mut next_beat = Instant::now() + HEARTBEAT;
    loop {
        let wait = next_beat.saturating_duration_since(Instant::now());
        let answer = match answers.recv_timeout(wait) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                next_beat = Instant::now() + HEARTBEAT;
                stats()
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let last = answer == FromWorker::Finished;
        bytes.clear();
        answer.encode(&mut bytes);
        let orphan = rustix::process::getppid() != parent;
        if orphan || stream.write_all(&bytes).is_err() {
            // The server is gone; nobody is left to work for.
            std::process::exit(0);
        }
        if last {
            return;
        }
    }
}

impl Inbox {
    /// The next message; `None` when the server closed the link.
    ///
    /// # Errors
    /// When the link breaks inside a message or the message can't be read: ours.
    pub fn next(&mut self) -> Result<Option<ToWorker>, Error> {
        let io = |source| Error::Link { source };
        let mut header = [0; 4];
        let count = loop {
            match self.stream.read(&mut header) {
                // A signal that does not end the process.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(io)?,
            }
        };
        if count == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut header[count..]).map_err(io)?;
        let mut message = vec![0; wire::message_length(header)?];
        self.stream.read_exact(&mut message).map_err(io)?;
        Ok(Some(ToWorker::decode(Bytes::from(message))?))
    }
}

impl Outbox {
    /// An outbox whose messages a test reads.
    #[cfg(test)]
    pub fn pair() -> (Self, Receiver<FromWorker>) {
        let (queue, answers) = sync_channel(ANSWERS_MAX);
        (Self { queue }, answers)
    }

    /// Queues a message; blocks while the queue is full. Lost when the postman is gone, as then the process ends.
    pub fn give(&self, message: FromWorker) {
        let _gone = self.queue.send(message);
    }

    /// Queues a sentence for the log, cut to what the wire allows and without control characters.
    pub fn notice(&self, text: &str) {
        self.give(FromWorker::Notice { text: printable(text) });
    }
}

/// At most 500 characters, none of them control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(250).collect()
}

impl Postman {
    /// Waits until [`FromWorker::Finished`] was written.
    pub fn wait(self) {
        let _panicked = self.thread.join();
    }
}
