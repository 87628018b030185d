//! Throwaway: serves a looped FLV by a minimal HTTP server, to let outside checkers look.
#[path = "../tests/kit/mod.rs"]
mod kit;
use media::*;
use packager::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::*;
use tokio::io::*;
use tokio::net::*;

struct RungSim { name: String, gops: Vec<Vec<(i64, i64, bool, bytes::Bytes, Config)>>, next: usize, due: VecDeque<(Instant, AccessUnit)>, rate: FrameRate }
fn load_rung(name: &str, path: &str, rate: FrameRate) -> RungSim {
    let units = kit::read_flv(std::path::Path::new(path));
    let mut gops: Vec<Vec<(i64, i64, bool, bytes::Bytes, Config)>> = vec![];
    let mut base = MediaTime::ZERO;
    let mut n = 0;
    for u in units.iter().filter(|u| u.video().is_some()) {
        if u.sync { gops.push(vec![]); base = u.pts; n = 0 }
        gops.last_mut().unwrap().push((rate.frames_in(u.pts - base), n, u.sync, u.data.clone(), u.config.clone()));
        n += 1;
    }
    RungSim { name: name.into(), gops, next: 0, due: VecDeque::new(), rate }
}
impl RungSim {
    fn boundary(&mut self, at: MediaTime, now: Instant) {
        let gop = &self.gops[self.next % self.gops.len()];
        self.next += 1;
        for (p, d, sync, data, config) in gop {
            let u = AccessUnit { config: config.clone(), dts: at + self.rate.time_of(*d), pts: at + self.rate.time_of(*p), sync: *sync, data: data.clone() };
            self.due.push_back((now + Duration::from_millis(300) + self.rate.time_of(*d).to_duration(), u));
        }
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let path = &args[1];
    let rate = FrameRate::nearest(args[2].parse().unwrap()).unwrap();
    let target: u8 = args[3].parse().unwrap();
    let port: u16 = args[4].parse().unwrap();
    let rungs: Vec<RungSim> = args[5..].chunks(3).filter(|c| c.len() == 3).map(|c| load_rung(&c[0], &c[1], FrameRate::nearest(c[2].parse().unwrap()).unwrap())).collect();
    let units = if path.ends_with(".flv") { kit::read_flv(std::path::Path::new(path)) } else {
        let flv = std::env::temp_dir().join(format!("serve-{port}.flv"));
        kit::run("ffmpeg", &["-v", "error", "-y", "-i", path, "-c:v", "copy", "-c:a", "aac", "-ac", "2", flv.to_str().unwrap()]);
        kit::read_flv(&flv)
    };
    // prober
    let mut prober = Prober::new();
    let mut t = Instant::now();
    let mut facts = None;
    for u in &units { t += Duration::from_millis(8); if let Some(f) = prober.push(FeedItem::Unit(u.clone()), t) { facts = Some(f); break } }
    let facts = facts.unwrap();
    eprintln!("facts: video {:?}", facts.video.as_ref().map(|v| (v.frame_rate, v.bitrate_bps, &v.passthrough)));
    let mut plan = kit::plan(facts);
    plan.target_s = target;
    plan.wall_start = SystemTime::now();
    plan.rungs = rungs.iter().map(|r| kit::rung(&r.name, r.rate)).collect();
    let _ = rate;
    let (mut packager, window) = Packager::new(plan);
    let run_for: f64 = std::env::var("RUN").ok().and_then(|v| v.parse().ok()).unwrap_or(1e9);
    let w = Arc::clone(&window);
    let rungs = Arc::new(Mutex::new(rungs));
    tokio::spawn(async move {
        let start = Instant::now();
        let first = units[0].dts;
        let last = units.iter().filter(|u| u.video().is_some() || units.iter().all(|x| x.video().is_none())).map(|u| u.pts).max().unwrap();
        let vfirst = units.iter().find(|u| u.video().is_some()).map_or(units[0].pts, |u| u.pts);
        let loop_len = last - vfirst + rate.time_of(1);
        let mut offset = MediaTime::ZERO;
        let mut audio_count = 0i64; let mut audio0 = None;
        'outer: loop {
            for u in &units {
                let mut u = u.clone();
                u.dts += offset; u.pts += offset;
                if let Some(a) = u.audio() {
                    // run on the sample count
                    let a0 = *audio0.get_or_insert(u.pts);
                    let want = a0 + MediaTime::from_units(audio_count * 1024, a.sample_rate);
                    if (want - u.pts).abs() > MediaTime::from_millis(20) {
                        if want > u.pts { continue }
                        audio0 = Some(u.pts - MediaTime::from_units(audio_count * 1024, a.sample_rate));
                    } else { u.pts = want; u.dts = want; }
                    audio_count += 1;
                }
                let due = start + (u.dts - first).to_duration();
                loop {
                    let now = Instant::now();
                    let mut next = due;
                    {
                        let mut rungs = rungs.lock().unwrap();
                        for r in rungs.iter_mut() {
                            while r.due.front().is_some_and(|d| d.0 <= now) { let (_, u) = r.due.pop_front().unwrap(); packager.encoded(&r.name, u); }
                            if let Some(d) = r.due.front() { next = next.min(d.0) }
                        }
                    }
                    if now >= due { break }
                    tokio::time::sleep_until(next.into()).await;
                }
                let now = Instant::now();
                for cue in packager.source(&u, now) {
                    eprintln!("{:.2} {cue:?}", start.elapsed().as_secs_f64());
                    if let Cue::Boundary { at, .. } = cue { for r in rungs.lock().unwrap().iter_mut() { r.boundary(at, now) } }
                }
                packager.tick(now);
                if start.elapsed().as_secs_f64() > run_for { break 'outer }
            }
            offset += loop_len;
        }
        packager.finish();
        eprintln!("finished");
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (s, _) = listener.accept().await.unwrap();
        let w = Arc::clone(&w);
        tokio::spawn(async move { let _ = serve(s, w).await; });
    }
}

async fn serve(s: TcpStream, w: Arc<Window>) -> std::io::Result<()> {
    s.set_nodelay(true)?;
    let mut s = BufReader::new(s);
    loop {
        let mut line = String::new();
        if s.read_line(&mut line).await? == 0 { return Ok(()) }
        let mut headers = vec![];
        loop { let mut h = String::new(); s.read_line(&mut h).await?; if h.trim().is_empty() { break } headers.push(h.to_lowercase()) }
        let mut it = line.split_whitespace();
        let (method, target) = (it.next().unwrap_or("").to_owned(), it.next().unwrap_or("").to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (status, kind, body) = answer(path, query, &w).await;
        let mut body = body; let mut extra = String::new(); let mut status = status;
        if let Some(r) = headers.iter().find_map(|h| h.strip_prefix("range: bytes=")) && status == 200 && kind != "application/vnd.apple.mpegurl" {
            let (a, b) = r.trim().split_once('-').unwrap();
            let a: usize = a.parse().unwrap_or(0); let b: usize = b.parse().unwrap_or(body.len() - 1).min(body.len() - 1);
            extra = format!("Content-Range: bytes {a}-{b}/{}\r\n", body.len());
            body = body.slice(a..=b); status = 206;
        }
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: range\r\nCache-Control: {}\r\n{extra}\r\n", body.len(), if kind == "application/vnd.apple.mpegurl" { "no-cache" } else { "max-age=100" });
        s.get_mut().write_all(head.as_bytes()).await?;
        if method != "HEAD" { s.get_mut().write_all(&body).await?; }
    }
}

async fn answer(path: &str, query: &str, w: &Window) -> (u16, &'static str, bytes::Bytes) {
    const M3U: &str = "application/vnd.apple.mpegurl";
    let none = (404, "text/plain", bytes::Bytes::new());
    let p: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let index = |k| { let d = w.index(k).borrow().clone(); d };
    match p.as_slice() {
        ["index.m3u8"] => index(Index::H264).map_or(none, |d| (200, M3U, d.text().clone())),
        ["hevc.m3u8"] => index(Index::Hevc).map_or(none, |d| (200, M3U, d.text().clone())),
        ["ts.m3u8"] => index(Index::Ts).map_or(none, |d| (200, M3U, d.text().clone())),
        [_, file] if file.ends_with(".ts.m3u8") => match w.rendition(file.trim_end_matches(".ts.m3u8")) {
            Some(r) => { let p = r.ts_playlist().borrow().clone(); (200, M3U, p.full.text().clone()) }
            None => none,
        },
        [_, file] if file.ends_with(".m3u8") => {
            let Some(r) = w.rendition(file.trim_end_matches(".m3u8")) else { return none };
            let q = |k: &str| query.split('&').find_map(|x| x.strip_prefix(k)?.strip_prefix('='));
            let mut rx = r.playlist();
            let parse = |v: Option<&str>| match v { None => Ok(None), Some(v) => v.parse::<u64>().map(Some).map_err(|_| ()) };
            let (Ok(msn), Ok(part)) = (parse(q("_HLS_msn")), parse(q("_HLS_part"))) else { return (400, "text/plain", bytes::Bytes::new()) };
            if part.is_some() && msn.is_none() { return (400, "text/plain", bytes::Bytes::new()) }
            if let Some(msn) = msn && !rx.borrow().ended {
                if msn > rx.borrow().last_segment.unwrap_or(0) + 3 { return (400, "text/plain", bytes::Bytes::new()) }
                let wait = rx.wait_for(|p| p.ended || match part { Some(k) => p.last >= Some((msn, k as u32)), None => p.last_segment >= Some(msn) });
                if tokio::time::timeout(Duration::from_secs(8), wait).await.is_err() { return (503, "text/plain", bytes::Bytes::new()) }
            }
            let p = rx.borrow().clone();
            let d = if q("_HLS_skip") == Some("YES") { p.delta.as_ref().unwrap_or(&p.full) } else { &p.full };
            (200, M3U, d.text().clone())
        }
        [_, id, file] => {
            let Some(r) = w.rendition(id) else { return none };
            let b = if let Some(g) = file.strip_prefix("init-") { r.init(g.trim_end_matches(".mp4").parse().unwrap_or(999)) }
            else if let Some(n) = file.strip_suffix(".ts") { n.parse().ok().and_then(|n| r.ts_segment(n)) }
            else {
                let f: Vec<_> = file.split('.').collect();
                match f.as_slice() {
                    [n, "m4s"] => n.parse().ok().and_then(|n| r.segment(n)).map(|s| s.parts.iter().flat_map(|p| p.data.iter().copied()).collect()),
                    [n, k, "m4s"] => {
                        let (Ok(n), Ok(k)) = (n.parse::<u64>(), k.parse::<u32>()) else { return none };
                        let mut rx = r.playlist();
                        let hinted = rx.borrow().next_part == Some((n, k));
                        if hinted { let _ = tokio::time::timeout(Duration::from_secs(8), rx.wait_for(|p| p.ended || p.last >= Some((n, k)))).await; }
                        r.part(n, k)
                    }
                    _ => None,
                }
            };
            b.map_or(none, |b| (200, if file.ends_with(".ts") { "video/mp2t" } else { "video/mp4" }, b))
        }
        _ => none,
    }
}
