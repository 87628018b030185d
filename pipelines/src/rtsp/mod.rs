//! The worker that serves one stream over RTSP, with `gst-rtsp-server`.
//!
//! The server accepts connections, reads the first request, decides, and hands the socket over; this process listens nowhere. It
//! decodes nothing: units come over the link with their configurations, and leave as RTP. Each reader has a graph of its own
//! (`reader.rs`), fed from one shelf (`shelf.rs`), so that it begins at the newest IDR at once, and one that takes nothing
//! loses its own units alone.
//!
//! Threads: this one reads the link and feeds the graphs, which never block it; each connection and each graph has its own, made
//! by the library.

mod reader;
mod sessions;
mod shelf;

use crate::counters::processor_time;
use crate::handover::Arrivals;
use crate::{Error, link, plugins, sandbox};
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::gst_rtsp::RTSPLowerTrans;
use gstreamer_rtsp_server::prelude::*;
use media::wire::{FromWorker, NewReader, Readership, ToWorker, VERSION};
use shelf::Shelf;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests have no bodies to speak of.
const BODY_MAX: u32 = 4 << 10;
/// At the end, readers are told so and have this long to hear it.
const FAREWELL: Duration = Duration::from_millis(700);

/// What the threads of the worker share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Held for one unit, or while a reader is put to it; never while anything else is waited for.
    shelf: Mutex<Shelf>,
    counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    readers: AtomicU64,
    units_in: AtomicU64,
    bytes_out: AtomicU64,
    units_lost: AtomicU64,
}

impl Shared {
    /// A panic ends the process, so poison is never seen.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readership(&self) -> FromWorker {
        let Counters { readers, units_in, bytes_out, units_lost } = &self.counters;
        FromWorker::Readership(Readership {
            readers: readers.load(Relaxed),
            units_in: units_in.load(Relaxed),
            bytes_out: bytes_out.load(Relaxed),
            units_lost: units_lost.load(Relaxed),
            cpu_ms: u64::try_from(processor_time().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Runs until the server says finish or closes the link.
pub(crate) fn run(sandbox: &sandbox::Status, plugin_folder: &Path) -> Result<(), Error> {
    let shared = Arc::new(Shared::default());
    let beat = Arc::clone(&shared);
    let (mut inbox, outbox, postman) = link::open(move || beat.readership())?;
    let arrivals = Arrivals::take()?;
    let Some(ToWorker::Setup(_)) = inbox.next()? else { return Err(Error::NoSetup) };
    plugins::load_rtsp(plugin_folder)?;
    let missing = plugins::RTSP.iter().flat_map(|plugin| plugin.elements).find(|element| !plugins::has(element));
    if let Some(element) = missing {
        let text = format!("GStreamer has no {element}, which RTSP needs: apt install gstreamer1.0-plugins-good");
        outbox.give(FromWorker::Unable { text });
        outbox.give(FromWorker::Finished);
        postman.wait();
        return Ok(());
    }
    outbox.give(FromWorker::Ready { version: VERSION, sandbox: sandbox.to_string() });
    let hall = Hall::open(Arc::clone(&shared), outbox.clone());
    while let Some(message) = inbox.next()? {
        match message {
            ToWorker::Video(config) => {
                let is_other = shared.shelf().video(config);
                hall.arrange(is_other);
            }
            ToWorker::Audio(config) => {
                let is_other = shared.shelf().audio(config);
                hall.arrange(is_other);
            }
            ToWorker::Unit { track, dts, pts, sync, data } => {
                shared.counters.units_in.fetch_add(1, Relaxed);
                shared.shelf().unit(shelf::Unit { track, dts, pts, sync, data }, &shared.counters);
            }
            ToWorker::Reader(reader) => {
                let number = reader.number;
                let given = arrivals.connection(number)?.map(|connection| hall.let_in(reader, connection));
                if given != Some(true) {
                    outbox.give(FromWorker::ReaderLeft { number });
                }
            }
            ToWorker::Finish => {
                shared.shelf().end();
                std::thread::sleep(FAREWELL);
                outbox.give(FromWorker::Finished);
                postman.wait();
                return Ok(());
            }
            ToWorker::Setup(_) => return Err(Error::NoSetup),
            // Of no meaning here; a newer server may say more.
            ToWorker::Boundary { .. } | ToWorker::AddRung(_) | ToWorker::Rung { .. } | ToWorker::Still { .. } => {}
        }
    }
    Ok(())
}

/// The library's server without a door of its own.
struct Hall {
    shared: Arc<Shared>,
    server: server::RTSPServer,
    /// Of readers that may have datagrams, and of those that may not.
    factories: [server::RTSPMediaFactory; 2],
    /// The reader whose connection is being given to the library, which names it in a signal.
    entering: Arc<Mutex<Option<Entering>>>,
}

struct Entering {
    number: u64,
    mounts: server::RTSPMountPoints,
}

impl Hall {
    fn open(shared: Arc<Shared>, outbox: link::Outbox) -> Self {
        let hall = server::RTSPServer::new();
        hall.set_content_length_limit(BODY_MAX);
        if let Some(threads) = hall.thread_pool() {
            // One for each connection, or a request that waits for media would hold up what others are sent.
            threads.set_max_threads(-1);
        }
        let factories = [RTSPLowerTrans::TCP | RTSPLowerTrans::UDP, RTSPLowerTrans::TCP].map(|transports| {
            let factory = server::RTSPMediaFactory::new();
            factory.set_protocols(transports);
            factory.set_shared(false);
            let shared = Arc::clone(&shared);
            factory.connect_media_configure(move |_, media| reader::furnish(&shared, media));
            factory
        });
        let entering: Arc<Mutex<Option<Entering>>> = Arc::default();
        let (who, counted) = (Arc::clone(&entering), Arc::clone(&shared));
        hall.connect_client_connected(move |_, client| {
            let Some(Entering { number, mounts }) = who.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                return;
            };
            client.set_mount_points(Some(&mounts));
            sessions::bound(client);
            counted.counters.readers.fetch_add(1, Relaxed);
            let (outbox, counted) = (outbox.clone(), Arc::clone(&counted));
            client.connect_closed(move |_| {
                counted.counters.readers.fetch_sub(1, Relaxed);
                outbox.give(FromWorker::ReaderLeft { number });
            });
        });
        Self { shared, server: hall, factories, entering }
    }

    /// Readers that come from now on get what the stream has now. Those there are, when `is_other`, are closed: they were told that it
    /// is over, and find the rest when they come again.
    fn arrange(&self, is_other: bool) {
        let leaving = if is_other { self.server.client_filter(None) } else { Vec::new() };
        if !leaving.is_empty() {
            let close = move || {
                std::thread::sleep(FAREWELL);
                leaving.iter().for_each(RTSPClientExt::close);
            };
            // Without a thread they find out by themselves.
            let _no_thread = std::thread::Builder::new().name("farewell".to_owned()).spawn(close);
        }
        let text = self.shared.shelf().launch();
        if let Some(text) = text {
            self.factories.iter().for_each(|factory| factory.set_launch(&text));
        }
    }

    /// Gives a connection to the library; `false` when it takes it not, and it is closed.
    fn let_in(&self, reader: NewReader, connection: std::os::fd::OwnedFd) -> bool {
        let Ok(head) = str::from_utf8(&reader.head) else { return false };
        // The library takes it for the end of the text.
        if head.contains('\0') || !reader.path.starts_with('/') {
            return false;
        }
        let Ok(socket) = gio::Socket::from_fd(connection) else { return false };
        let mounts = server::RTSPMountPoints::new();
        let factory = &self.factories[usize::from(reader.interleaved)];
        // The library describes a stream by its path alone, and sets up what is asked for with the query.
        let path = reader.path.split('?').next().unwrap_or_default();
        mounts.add_factory(path, factory.clone());
        if path != reader.path {
            mounts.add_factory(&reader.path, factory.clone());
        }
        let entering = Entering { number: reader.number, mounts };
        *self.entering.lock().unwrap_or_else(PoisonError::into_inner) = Some(entering);
        let (address, port) = (reader.address.to_string(), i32::from(reader.port));
        self.server.transfer_connection(socket, &address, port, Some(head)).is_ok()
    }
}
