//! The recipe of `deploy/nginx/weir-cdn.conf`, run by a real nginx in front of the origin. Passes without a word where
//! nginx is not installed.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use kit::gauges::Gauges;
use kit::show::Show;
use kit::{Answer, PATIENCE, Server};
use origin::Limits;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::task::JoinSet;
use tokio::time::timeout;

const RECIPE: &str = include_str!("../../deploy/nginx/weir-cdn.conf");
const VIEWERS: usize = 40;
const BASE: &str = "/live/demo/s-1";

/// An nginx of our own, ended and removed when dropped.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    /// Starts the recipe for an origin, with only its three marked lines changed.
    async fn start(origin: SocketAddr) -> Option<Nginx> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]
            .iter()
            .find(|path| Path::new(path).exists())?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = std::env::temp_dir().join(format!("weir-nginx-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let cache = folder.join("cache");
        let recipe = [
            ("server 127.0.0.1:8080;", format!("server {origin};")),
            ("listen 80;", format!("listen {address};")),
            ("/var/cache/nginx/weir", cache.display().to_string()),
        ]
        .into_iter()
        .fold(RECIPE.to_owned(), |recipe, (from, to)| {
            assert_eq!(recipe.matches(from).count(), 1, "{from}");
            recipe.replace(from, &to)
        });
        let at = folder.display();
        let user = if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            "user root;"
        } else {
            ""
        };
        let whole = format!(
            "{user} daemon off; worker_processes 2; pid {at}/pid; error_log {at}/error.log warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n{recipe}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, whole).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .args(["-e", &format!("{at}/start.log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let nginx = Nginx { child, folder, address };
        let up = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, up).await.expect("nginx listens");
        Some(nginx)
    }

    async fn ask(address: SocketAddr, target: String, headers: Vec<(&'static str, &'static str)>) -> Answer {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut client = kit::Client { socket, buffer: Vec::new() };
        client.ask("GET", &target, &headers).await
    }

    async fn get(&self, target: &str) -> Answer {
        Nginx::ask(self.address, target.to_owned(), Vec::new()).await
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers on SIGTERM; a plain kill would leave them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Many viewers ask for one object, each in its own way; all must get the same.
fn crowd(nginx: &Nginx, path: &str) -> JoinSet<Answer> {
    let mut viewers = JoinSet::new();
    let join = if path.contains('?') { '&' } else { '?' };
    for viewer in 0..VIEWERS {
        let accept = ["identity", "gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.5"][viewer % 4];
        let target = format!("{path}{join}viewer={viewer}");
        viewers.spawn(Nginx::ask(nginx.address, target, vec![("Accept-Encoding", accept)]));
    }
    viewers
}

async fn all_alike(mut viewers: JoinSet<Answer>, size: usize) {
    while let Some(answer) = timeout(PATIENCE, viewers.join_next()).await.expect("an answer in time") {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.header("content-encoding").is_none() {
            assert_eq!(answer.body.len(), size);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_fetch_per_object_and_nothing_stale() {
    let mut show = Show::new(4_000);
    show.until_next(8, 2);
    let gauges = Gauges::default();
    let router = metrics::with_local_recorder(&gauges, || origin::router(show.catalog()));
    let server = Server::start(router, Limits::default()).await;
    let Some(nginx) = Nginx::start(server.address).await else {
        println!("nginx is not installed: the recipe was not tried");
        return;
    };
    let fetched = |kind: &str| gauges.counter(&format!("weir_origin_requests_total kind={kind} status=2xx"));
    let held = async |count: usize| {
        let held = async {
            while gauges.gauge("weir_origin_waiting") != count as f64 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, held).await.expect("the origin holds the requests");
    };

    // The live edge: a blocking reload and the hinted part, asked for before they exist.
    let reload = format!("{BASE}/source.m3u8?_HLS_msn=8&_HLS_part=2");
    let (reloads, hints) = (crowd(&nginx, &reload), crowd(&nginx, &format!("{BASE}/source/8.2.m4s")));
    held(2).await;
    show.until_next(8, 3);
    all_alike(reloads, show.playlist().full.text().len()).await;
    all_alike(hints, show.source().part(8, 2).unwrap().len()).await;
    assert_eq!((fetched("playlist"), fetched("part")), (1, 1));
    let swapped = nginx.get(&format!("{BASE}/source.m3u8?x=1&_HLS_part=2&y&_HLS_msn=8")).await;
    assert!(swapped.text().contains("source/8.2.m4s"));
    assert_eq!((swapped.header("x-cache"), fetched("playlist")), (Some("HIT"), 1));

    // Everything else is fetched once as well.
    for (path, kind, size) in [
        (format!("{BASE}/source/7.m4s"), "segment", show.source().segment(7).unwrap().len()),
        (format!("{BASE}/source/init-0.mp4"), "init", show.source().init(0).unwrap().len()),
        (format!("{BASE}/source/7.ts"), "ts", show.source().ts_segment(7).unwrap().len()),
    ] {
        all_alike(crowd(&nginx, &path), size).await;
        assert_eq!(fetched(kind), 1, "{path}");
    }
    let range = Nginx::ask(nginx.address, format!("{BASE}/source/7.m4s"), vec![("Range", "bytes=10-109")]).await;
    assert_eq!((range.status, range.body.len(), fetched("segment")), (206, 100, 1));
    for (name, want) in [("access-control-allow-origin", "*"), ("cache-control", "max-age=3600, immutable")] {
        assert_eq!(range.header(name), Some(want));
    }

    // The plain playlist follows the live edge.
    let plain = format!("{BASE}/source.m3u8");
    assert!(!nginx.get(&plain).await.text().contains("URI=\"source/8.4.m4s\""));
    show.until_next(8, 5);
    let fresh = async {
        while !nginx.get(&plain).await.text().contains("URI=\"source/8.4.m4s\"") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE / 5, fresh).await.expect("a playlist is kept for a second, two by the clock's grain");

    // Refusals are not kept.
    assert_eq!(nginx.get(&format!("{plain}?_HLS_msn=11")).await.status, 400);
    show.until_next(10, 1);
    assert_eq!(nginx.get(&format!("{plain}?_HLS_msn=9")).await.status, 200);
    let hinted = format!("{BASE}/source/10.1.m4s");
    let (answer, ()) = tokio::join!(nginx.get(&hinted), async {
        held(1).await;
        show.until_next(10, 2);
    });
    assert_eq!(answer.status, 200);

    // And the end reaches everyone.
    let waiting = crowd(&nginx, &format!("{plain}?_HLS_msn=10&_HLS_part=4"));
    held(1).await;
    show.finish();
    all_alike(waiting, show.playlist().full.text().len()).await;
}
