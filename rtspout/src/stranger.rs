//! A connection before it is handed to a worker: its first requests, the roof's answer, and the way out for whoever gets a no.
//!
//! All of it lies under one absolute deadline from accept.

use crate::channel::{Join, Reservation, Stay, Tuner};
use crate::relay;
use crate::request::{HEAD_MAX, Malformed, Method, Request};
use crate::seats::Seat;
use crate::{Doors, Pass, PlayRequest, REFUSED, Refusal, Rtsp};
use bytes::{Bytes, BytesMut};
use metrics::counter;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// Requests of a connection before one that gets it in: what may be asked, the stream, and the stream again with a password.
const REQUESTS_MAX: usize = 10;
/// What may be asked, by whom is in a session too.
const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
/// After a refusal the peer may read it before the socket closes: closing with unread input would destroy the words on their way.
const LINGER: Duration = Duration::from_millis(500);

/// How a connection ended here.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("it closed the connection")]
    Hangup,
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is no RTSP: {0}")]
    Malformed(#[from] Malformed),
    #[error("it asked {REQUESTS_MAX} times and for no stream it may have")]
    Talk,
    #[error("it named no stream it may have within {0} s")]
    Late(u64),
    #[error("{}", .0.text)]
    Refused(Refusal),
}

impl Ending {
    /// A bounded label for counters.
    fn label(&self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Io(_) => "io",
            Self::Malformed(_) => "protocol",
            Self::Talk => "talk",
            Self::Late(_) => "late",
            Self::Refused(refusal) => refusal.cause,
        }
    }
}

/// A reader that may have a stream.
pub(crate) struct Admitted {
    pub(crate) tuner: Tuner,
    pub(crate) mount: String,
    pub(crate) seat: Seat,
    pub(crate) reservation: Reservation,
}

/// Attends to a connection until a worker has it or it is over. The `place` is a stranger's, which it gives back when it is let in.
pub(crate) async fn attend<D: Doors>(
    rtsp: &Rtsp,
    socket: TcpStream,
    (peer, place): (SocketAddr, Seat),
    tls: Option<Arc<ServerConfig>>,
    doors: &D,
    accepted: Instant,
) {
    let limit = rtsp.house.settings.limits.deadline;
    let deadline = accepted + limit;
    let late = || Ending::Late(limit.as_secs_f64().ceil() as u64);
    let ended = match tls {
        None => {
            let mut line = Line { stream: socket, input: BytesMut::new(), peer, tls: false };
            match timeout_at(deadline, line.converse(rtsp, doors)).await.unwrap_or_else(|_| Err(late())) {
                Ok(admitted) => line.hand_over(rtsp, admitted),
                Err(ending) => Err(line.see_out(ending).await),
            }
        }
        Some(config) => match timeout_at(deadline, TlsAcceptor::from(config).accept(socket)).await {
            Err(_) => Err(late()),
            Ok(Err(error)) => Err(Ending::Io(error)),
            Ok(Ok(stream)) => {
                let mut line = Line { stream, input: BytesMut::new(), peer, tls: true };
                match timeout_at(deadline, line.converse(rtsp, doors)).await.unwrap_or_else(|_| Err(late())) {
                    Ok(admitted) => {
                        drop(place);
                        return relay::serve(line, admitted, rtsp.house.settings.limits.stall).await;
                    }
                    Err(ending) => Err(line.see_out(ending).await),
                }
            }
        },
    };
    if let Err(ending) = ended {
        REFUSED.turn_away(ending.label(), &peer, &ending, std::time::Instant::now());
    }
}

/// A connection and what was read of it and not answered.
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    pub(crate) input: BytesMut,
    pub(crate) peer: SocketAddr,
    tls: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Answers requests until one names a stream it may have. That one stays in the input.
    async fn converse<D: Doors>(&mut self, rtsp: &Rtsp, doors: &D) -> Result<Admitted, Ending> {
        for _ in 0..REQUESTS_MAX {
            let (request, used) = self.request().await?;
            let sequence = request.sequence.clone();
            let showed =
                request.credentials.is_some() || request.path.as_ref().is_some_and(|path| path.token.is_some());
            let refusal = match (request.method, request.has_body) {
                (Method::Options, false) => {
                    let _answered = self.input.split_to(used);
                    self.answer(200, "OK", sequence.as_deref(), &format!("Public: {PUBLIC}\r\n")).await?;
                    continue;
                }
                (Method::Describe | Method::Setup, _) => match self.play(rtsp, doors, request).await {
                    Ok(admitted) => return Ok(admitted),
                    // Programs show a password only when they were asked for one, on the same connection.
                    Err(refusal) if refusal.status == 401 => {
                        let _answered = self.input.split_to(used);
                        let ask = "WWW-Authenticate: Basic realm=\"Weir\", charset=\"UTF-8\"\r\n";
                        self.answer(401, &refusal.text, sequence.as_deref(), ask).await?;
                        // The first request shows nothing, as nobody has asked yet.
                        if showed {
                            let now = std::time::Instant::now();
                            REFUSED.turn_away(refusal.cause, &self.peer, &"a wrong password or token", now);
                        }
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                (Method::Publish, _) => {
                    Refusal::new(405, "publish", "Nothing is taken over RTSP here; publish over RTMP or RTMPS")
                }
                (Method::InSession, _) => Refusal::new(454, "session", "Session Not Found"),
                (Method::Options, true) => Refusal::new(413, "body", "Request Entity Too Large"),
                (Method::Later, _) => Refusal::new(505, "version", "RTSP Version Not Supported"),
                (Method::Other, _) => Refusal::new(501, "method", "Not Implemented"),
            };
            self.answer(refusal.status, &refusal.text, sequence.as_deref(), "").await?;
            return Err(Ending::Refused(refusal));
        }
        Err(Ending::Talk)
    }

    /// The next request, which begins at the start of the input.
    async fn request(&mut self) -> Result<(Request, usize), Ending> {
        loop {
            match Request::parse(&self.input) {
                Ok(Some(request)) => return Ok(request),
                Ok(None) => {}
                Err(malformed) => {
                    self.answer(400, "This is no RTSP request", None, "").await?;
                    return Err(malformed.into());
                }
            }
            self.input.reserve(HEAD_MAX);
            // Never more than a request may have, so that nothing large is held for a stranger.
            let mut room = (&mut self.stream).take((HEAD_MAX - self.input.len().min(HEAD_MAX - 1)) as u64);
            if room.read_buf(&mut self.input).await? == 0 {
                return Err(Ending::Hangup);
            }
        }
    }

    /// Asks the roof. A wrong pass is counted, and answered late once there were many.
    async fn play<D: Doors>(&self, rtsp: &Rtsp, doors: &D, request: Request) -> Result<Admitted, Refusal> {
        let Some(path) = request.path else { return Err(Refusal::not_live()) };
        let pass = path.token.map(Pass::Token).or(request.credentials.map(Pass::Password));
        let showed = pass.is_some();
        let (stream, rung) = (path.stream, path.rung);
        match doors.play(PlayRequest { stream, rung, pass, peer: self.peer, tls: self.tls }).await {
            Ok(tuner) => {
                let reservation = tuner.reserve()?;
                let full = |full: crate::seats::Full| {
                    let text = format!("No more readers fit: {full}; close one, or raise rtsp.readers_max");
                    Refusal::new(453, full.label(), text)
                };
                let seat = rtsp.readers.take(self.peer.ip()).map_err(full)?;
                Ok(Admitted { tuner, mount: path.mount, seat, reservation })
            }
            Err(refusal) => {
                if refusal.status == 401 && showed && rtsp.guesses.failed(self.peer.ip(), std::time::Instant::now()) {
                    counter!("weir_rtsp_tarpit_total").increment(1);
                    sleep(rtsp.house.settings.limits.tarpit).await;
                }
                Err(refusal)
            }
        }
    }

    pub(crate) async fn answer(
        &mut self,
        status: u16,
        text: &str,
        sequence: Option<&str>,
        fields: &str,
    ) -> std::io::Result<()> {
        let sequence = sequence.map(|sequence| format!("CSeq: {sequence}\r\n")).unwrap_or_default();
        // The words are ours, but names of streams may stand in them.
        let text: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(300).collect();
        let answer = format!("RTSP/1.0 {status} {text}\r\n{sequence}Server: Weir\r\n{fields}\r\n");
        self.stream.write_all(answer.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Lets the peer read what it was told.
    async fn see_out(&mut self, ending: Ending) -> Ending {
        if matches!(ending, Ending::Refused(_) | Ending::Malformed(_)) && self.stream.shutdown().await.is_ok() {
            let mut rest = [0; 1024];
            let drain = async { while let Ok(1..) = self.stream.read(&mut rest).await {} };
            // Either way the socket closes now.
            let _read_or_late = timeout(LINGER, drain).await;
        }
        ending
    }

    /// What was read and not answered.
    pub(crate) fn head(&mut self) -> Bytes {
        self.input.split().freeze()
    }
}

impl Line<TcpStream> {
    /// Gives the connection itself to the worker.
    fn hand_over(mut self, rtsp: &Rtsp, admitted: Admitted) -> Result<(), Ending> {
        let Admitted { tuner, mount, seat, reservation } = admitted;
        let stay = Stay::new(Some(seat), reservation);
        let head = self.head();
        let connection = self.stream.into_std()?.into();
        let (address, port) = (self.peer.ip().to_canonical(), self.peer.port());
        let interleaved = !rtsp.house.settings.udp;
        let sent_away = tuner.sent_away();
        let join = Join { address, port, path: mount, interleaved, head, connection, stay, sent_away };
        tuner.join(join).map_err(Ending::Refused)
    }
}
