//! What publishers cost, in CPU seconds per publisher and minute of stream.
//!
//!     cargo run -p ingest --example publishers -- parse              bytes to units in memory, no sockets
//!     cargo run -p ingest --example publishers -- serve PORT SECONDS a server on loopback that reports its own CPU
//!     cargo run -p ingest --example publishers -- push ADDRESS N SECONDS   N publishers of 3 Mb/s in real time
//!
//! nginx-rtmp 1.2.2 took 0.035 for the same load (50 publishers, 3.1 Mb/s, 2026, two cores): measure both on one
//! machine and compare the ratio, not the seconds.

use bytes::Bytes;
use ingest::{Admission, Doors, Ingest, Intake, Limits, PlayRequest, PublishRequest, Refusal, Usher};
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};
use rtmp::client::{Publisher, Target};
use rtmp::{Event, ServerSession};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// 640x360 at 25 fps, as x264 writes it; only the length of what follows matters here.
const AVCC: &[u8] = &[
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xd8, 0x90, 0x28, 0x0b, 0xfe, 0x5c, 0x04,
    0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x8b, 0x89, 0x80, 0x01, 0x00, 0x05, 0x68, 0xc8,
    0x88, 0xcb, 0x20,
];

struct Open;

impl Doors for Open {
    async fn admit(&self, _request: PublishRequest) -> Result<Admission, Refusal> {
        let (_dismiss, dismissal) = tokio::sync::oneshot::channel();
        let id = ingest::session::PublisherId(0);
        Ok(Admission { stream: "load".into(), id, dismissal, sink: Box::new(drop) })
    }

    async fn play(&self, _request: PlayRequest) -> Result<Usher, Refusal> {
        Err(Refusal::new("NetStream.Play.Failed", "Nothing is played here; this is a load tool."))
    }

    fn left(&self, _: &str, _: ingest::session::PublisherId, _: ingest::session::Departure) {}
}

/// One second of 30 fps with an IDR of 60 kB and 128 kb/s of AAC: about 3.1 Mb/s, in the order encoders interleave.
fn one_second(from: MediaTime) -> Vec<AccessUnit> {
    let video = Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(AVCC),
        nal_length_size: 4,
        width: 640,
        height: 360,
        sample_aspect: (1, 1),
        codecs: String::new(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    });
    let record = Bytes::from_static(&[0x11, 0x90]);
    let audio = Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record,
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    });
    let mut units: Vec<AccessUnit> = (0..30)
        .map(|n| {
            let sync = n == 0;
            let size = if sync { 60_000 } else { 10_600 };
            let mut data = vec![0x5a; size];
            data[..4].copy_from_slice(&(size as u32 - 4).to_be_bytes());
            data[4] = if sync { 0x65 } else { 0x41 };
            let at = from + MediaTime::from_units(n, 30);
            AccessUnit { config: Config::Video(Arc::clone(&video)), dts: at, pts: at, sync, data: data.into() }
        })
        .collect();
    units.extend((0..47).map(|n| {
        let at = from + MediaTime::from_units(n, 47);
        AccessUnit {
            config: Config::Audio(Arc::clone(&audio)),
            dts: at,
            pts: at,
            sync: true,
            data: vec![1; 340].into(),
        }
    }));
    units.sort_by_key(|u| u.dts);
    units
}

fn send_configs(publisher: &mut Publisher, units: &[AccessUnit]) -> Result<(), rtmp::Error> {
    for unit in units.iter().take(2) {
        match &unit.config {
            Config::Video(config) => publisher.send_video_config(config, unit.dts)?,
            Config::Audio(config) => publisher.send_audio_config(config, unit.dts)?,
        }
    }
    Ok(())
}

fn target(number: u64) -> Target {
    Target { app: "live".into(), tc_url: "rtmp://127.0.0.1/live".into(), name: format!("KEY{number}") }
}

/// CPU seconds of this process so far, user and system, from `/proc/self/stat` in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|f| f.parse::<u64>().expect("ticks")).sum();
    ticks as f64 / 100.0
}

fn parse() -> Result<(), rtmp::Error> {
    let (mut publisher, mut session) = (Publisher::new(target(0))?, ServerSession::new());
    while !publisher.is_publishing() {
        session.input(&publisher.take_output())?;
        if let Some(Event::PublishRequested(_)) = session.next_event() {
            session.accept_publish()?;
        }
        publisher.input(&session.take_output())?;
    }
    let minutes = 10;
    let (mut spent, mut bytes, mut given) = (Duration::ZERO, 0, 0u64);
    let mut intake = Intake::new(&Limits::default(), Instant::now());
    for second in 0..60 * minutes {
        let units = one_second(MediaTime::from_millis(second * 1000));
        if second == 0 {
            send_configs(&mut publisher, &units)?;
        }
        for unit in &units {
            publisher.send_unit(unit)?;
            let wire = publisher.take_output();
            bytes += wire.len();
            let began = Instant::now();
            session.input(&wire)?;
            while let Some(event) = session.next_event() {
                intake.take(event, began, |_item| given += 1).expect("good media");
            }
            spent += began.elapsed();
            session.take_output();
        }
    }
    let per_minute = spent.as_secs_f64() / minutes as f64;
    println!(
        "{given} units, {:.1} MB: {per_minute:.5} s per publisher-minute, {:.3} of nginx-rtmp's 0.035",
        bytes as f64 / 1e6,
        per_minute / 0.035
    );
    Ok(())
}

async fn serve(port: u16, seconds: u64) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let stop = CancellationToken::new();
    let served = tokio::spawn(Arc::new(Ingest::new(Open, Limits::default())).serve(listener, None, stop.clone()));
    // By tens of seconds: the first ones pay for the memory of the feeds.
    for from in (0..seconds).step_by(10) {
        let before = cpu_seconds();
        tokio::time::sleep(Duration::from_secs(10)).await;
        println!("{from} to {} s: {:.2} CPU seconds", from + 10, cpu_seconds() - before);
    }
    stop.cancel();
    served.await.expect("no panic");
    Ok(())
}

async fn push(
    address: String,
    number: u64,
    seconds: u64,
    wait: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tokio::time::sleep(wait).await;
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut publisher = Publisher::new(target(number))?;
    let mut buffer = vec![0; 4096];
    while !publisher.is_publishing() {
        socket.write_all(&publisher.take_output()).await?;
        let read = socket.read(&mut buffer).await?;
        publisher.input(&buffer[..read])?;
    }
    let began = tokio::time::Instant::now();
    for second in 0..seconds {
        let from = MediaTime::from_millis(second as i64 * 1000);
        let units = one_second(from);
        if second == 0 {
            send_configs(&mut publisher, &units)?;
        }
        for unit in &units {
            tokio::time::sleep_until(began + unit.dts.to_duration()).await;
            publisher.send_unit(unit)?;
            socket.write_all(&publisher.take_output()).await?;
        }
        while let Ok(read @ 1..) = socket.try_read(&mut buffer) {
            publisher.input(&buffer[..read])?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // WEIR_THREADS=1 shows what waking one thread from another costs.
    let mut builder = match std::env::var("WEIR_THREADS").as_deref() {
        Ok("1") => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["parse"] => parse()?,
        ["serve", port, seconds] => serve(port.parse()?, seconds.parse()?).await?,
        ["push", address, count, seconds] => {
            let seconds = seconds.parse()?;
            let count = count.parse()?;
            let mut pushers = tokio::task::JoinSet::new();
            for n in 0..count {
                // Spread over a frame time, as real publishers are.
                pushers.spawn(push(address.to_owned(), n, seconds, Duration::from_millis(n * 33 / count)));
            }
            while let Some(done) = pushers.join_next().await {
                done??;
            }
        }
        _ => eprintln!("publishers parse | serve PORT SECONDS | push ADDRESS N SECONDS"),
    }
    Ok(())
}
