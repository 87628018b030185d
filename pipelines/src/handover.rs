//! How a connection goes from the server to the worker that serves it: its descriptor, with a number that a message on the link
//! names a moment later ([`media::wire::NewReader`]).
//!
//! The way is a socketpair of its own that keeps packets apart, since a descriptor that comes amid a stream of bytes is lost by
//! whoever reads them ahead.

use crate::Error;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Room for one descriptor.
const SPACE: usize = rustix::cmsg_space!(ScmRights(1));

/// The server's end.
#[derive(Debug)]
pub struct Handover {
    socket: OwnedFd,
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Arrivals {
    socket: OwnedFd,
}

/// Both ends; the second is to be the worker's standard output.
pub(crate) fn pair() -> io::Result<(Handover, OwnedFd)> {
    let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Handover { socket }, theirs))
}

impl Handover {
    /// Gives the worker a connection of its own, which the caller may close. Does not block.
    ///
    /// # Errors
    /// `WouldBlock` when the worker has not taken those before, others when it is gone.
    pub fn give(&self, number: u64, connection: BorrowedFd<'_>) -> io::Result<()> {
        let (mut space, connections) = ([MaybeUninit::uninit(); SPACE], [connection]);
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&connections)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let number = number.to_le_bytes();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.socket, &[IoSlice::new(&number)], &mut ancillary, flags)?;
        Ok(())
    }
}

impl Arrivals {
    /// Takes it from standard output, which leads nowhere from then on: a library that prints must not reach the server.
    ///
    /// # Errors
    /// When the worker was started by hand, or there is no `/dev/null`.
    pub fn take() -> Result<Self, Error> {
        let io = |source| Error::Link { source };
        let socket = io::stdout().as_fd().try_clone_to_owned().map_err(io)?;
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null").map_err(io)?;
        rustix::stdio::dup2_stdout(&nowhere).map_err(|e| Error::Link { source: e.into() })?;
        Ok(Self { socket })
    }

    /// The connection of this number, which was given before the message that names it; those before it that no message named are
    /// closed. `None` when there is none.
    ///
    /// # Errors
    /// When the way is broken.
    pub fn connection(&self, number: u64) -> Result<Option<OwnedFd>, Error> {
        loop {
            let (mut space, mut given) = ([MaybeUninit::uninit(); SPACE], [0; 8]);
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut given)], &mut ancillary, flags);
            match received {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(e) => return Err(Error::Link { source: e.into() }),
            }
            let mut connections = ancillary.drain().filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut connections) => connections.next(),
                _ => None,
            });
            match connections.next() {
                Some(connection) if u64::from_le_bytes(given) == number => return Ok(Some(connection)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_connection_arrives_by_its_number_and_works() {
        let (server, theirs) = pair().expect("a socketpair");
        let worker = Arrivals { socket: theirs };
        let (mut client, connection) = UnixStream::pair().expect("a socketpair");
        let (_other, lost) = UnixStream::pair().expect("a socketpair");
        server.give(1, lost.as_fd()).expect("there is room");
        server.give(2, connection.as_fd()).expect("there is room");
        drop(connection);
        let mut arrived = UnixStream::from(worker.connection(2).expect("it is whole").expect("it was given"));
        arrived.write_all(b"here").expect("it is open");
        drop(arrived);
        let mut said = String::new();
        client.read_to_string(&mut said).expect("nobody else holds it");
        assert_eq!(said, "here");
        assert!(worker.connection(3).expect("it is whole").is_none());
    }

    #[test]
    fn a_worker_that_takes_none_is_not_waited_for() {
        let (server, _theirs) = pair().expect("a socketpair");
        let (one, _other) = UnixStream::pair().expect("a socketpair");
        let refused = (0..100_000).find_map(|number| server.give(number, one.as_fd()).err()).expect("a full queue");
        assert!(refused.kind() == io::ErrorKind::WouldBlock, "{refused:?}");
    }
}
