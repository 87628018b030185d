//! A proxy in front of the store that does what networks and middle boxes do on bad days.

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, ETAG};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to requests from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are closed as soon as they are there.
    Refuse,
    /// 64 KiB of an upload are taken, and nothing more happens.
    StallUpload,
    /// 64 KiB of a download are given, and nothing more happens.
    StallDownload,
    /// Uploads break off behind so many bytes.
    CutUpload(usize),
    /// Downloads break off behind so many bytes.
    CutDownload(usize),
    /// Every request is answered with this status, code and body.
    Answer(u16, &'static str, &'static str),
    /// A byte of every upload is another one, and the answer is that all is well.
    Flip,
    /// Uploads arrive, but their answer names another version.
    WrongEtag,
}

/// See [`Fault::StallUpload`].
const STALL_BYTES: usize = 64 * 1024;

/// Half the body of S3's answer to a clock that is 20 minutes slow.
pub const SKEW: &str = "<RequestTime>20261122T085200Z</RequestTime><ServerTime>2026-11-22T09:12:00Z</ServerTime>";

#[derive(Debug, Default)]
struct State {
    fault: Mutex<(Fault, u64)>,
    requests: AtomicU64,
    uploaded: AtomicU64,
}

/// A running proxy. Dropping it stops it.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
    _server: JoinSet<()>,
}

type Reply = Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error>;

impl Proxy {
    pub async fn start(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let mut server = JoinSet::new();
        let shared = Arc::clone(&state);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    if state.fault.lock().unwrap().0 == Fault::Refuse {
                        return;
                    }
                    let service = service_fn(|request| pass(request, &state, store));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { address, state, _server: server }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.set_times(fault, u64::MAX);
    }

    /// For so many requests it applies to.
    pub fn set_times(&self, fault: Fault, times: u64) {
        *self.state.fault.lock().unwrap() = (fault, times);
    }

    /// Requests that came so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Bytes of uploads that came so far.
    pub fn uploaded(&self) -> u64 {
        self.state.uploaded.load(Ordering::Relaxed)
    }
}

impl State {
    /// The fault that this request gets.
    fn take(&self, is_upload: bool, is_download: bool) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let applies = match fault.0 {
            Fault::CutUpload(_) | Fault::Flip | Fault::WrongEtag | Fault::StallUpload => is_upload,
            Fault::CutDownload(_) | Fault::StallDownload => is_download,
            _ => true,
        };
        if !applies || fault.1 == 0 {
            return Fault::None;
        }
        fault.1 -= 1;
        fault.0
    }
}

async fn pass(request: Request<Incoming>, state: &State, store: SocketAddr) -> Reply {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let fault = state.take(*request.method() == Method::PUT, *request.method() == Method::GET);
    let broken = || Err(io::ErrorKind::ConnectionReset.into());
    let limit = match fault {
        Fault::Refuse => return broken(),
        Fault::Answer(status, code, inner) => return Ok(answer(status, code, inner)),
        Fault::StallUpload => STALL_BYTES,
        Fault::CutUpload(bytes) => bytes,
        _ => usize::MAX,
    };
    let (head, mut incoming) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
        state.uploaded.fetch_add(data.len() as u64, Ordering::Relaxed);
        body.extend_from_slice(&data);
        if body.len() >= limit {
            return if fault == Fault::StallUpload { pending().await } else { broken() };
        }
    }
    if fault == Fault::Flip {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let socket = TcpStream::connect(store).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::from_parts(head, Full::new(body.freeze()));
    let mut response = sender.send_request(request).await.map_err(io::Error::other)?;
    match fault {
        Fault::Flip => *response.status_mut() = StatusCode::OK,
        Fault::WrongEtag => {
            response.headers_mut().insert(ETAG, "\"0123456789abcdef0123456789abcdef\"".parse().unwrap());
        }
        Fault::CutDownload(bytes) => return Ok(response.map(|body| cut(body, bytes, false))),
        Fault::StallDownload => return Ok(response.map(|body| cut(body, STALL_BYTES, true))),
        _ => {}
    }
    Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync()))
}

fn answer(status: u16, code: &str, inner: &str) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message>{inner}</Error>");
    Response::builder()
        .status(status)
        .header("retry-after", "1")
        .header(CONTENT_LENGTH, text.len())
        .body(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync())
        .unwrap()
}

/// A body that breaks off or stands still.
fn cut(body: Incoming, bytes: usize, stalls: bool) -> UnsyncBoxBody<Bytes, io::Error> {
    let left = (body, bytes);
    let frames = futures_util::stream::unfold(Some(left), move |state| async move {
        let (mut body, left) = state?;
        let data = body.frame().await?.ok()?.into_data().ok()?;
        if data.len() >= left && stalls {
            pending::<()>().await;
        }
        if data.len() >= left {
            let end: Result<Frame<Bytes>, io::Error> = Err(io::ErrorKind::ConnectionReset.into());
            return Some((end, None));
        }
        let left = left - data.len();
        Some((Ok(Frame::data(data)), Some((body, left))))
    });
    StreamBody::new(frames).boxed_unsync()
}
