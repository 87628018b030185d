//! A real nginx with its RTMP module, as a target: it records what it is sent.

use super::PATIENCE;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ended and removed when dropped. Application `live` records; `guarded` asks a door that says no to every key.
pub struct Nginx {
    child: Option<Child>,
    dir: tempfile::TempDir,
    pub address: SocketAddr,
    http: SocketAddr,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Nginx {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut nginx = Self { child: None, dir, address: free(), http: free() };
        nginx.up();
        nginx
    }

    /// Starts it (again) at the same address.
    pub fn up(&mut self) {
        let at = self.dir.path().display();
        let records = self.dir.path().join("records");
        std::fs::create_dir_all(&records).unwrap();
        let as_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        let (user, address, http) = (if as_root { "user root;" } else { "" }, self.address, self.http);
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; {user} daemon off; worker_processes 1;\n\
             pid {at}/pid; error_log {at}/error.log info; events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
               uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
               server {{ listen {http}; location / {{ return 404; }} }} }}\n\
             rtmp {{ access_log off; server {{ listen {address}; chunk_size 4096; ping 1s; ping_timeout 2s; ack_window 20000;\n\
               application live {{ live on; record all; record_path {at}/records; record_unique on; }}\n\
               application guarded {{ live on; on_publish http://{http}/; }} }} }}\n"
        );
        let file = self.dir.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(&file)
            .args(["-e", &format!("{at}/start.log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need nginx and libnginx-mod-rtmp; run: scripts/install test");
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx listens");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once.
    pub fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // The master ends its workers on SIGTERM; a plain kill would leave them.
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let _ = child.wait();
    }

    /// Its recordings, the oldest first.
    pub fn records(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(self.dir.path().join("records")).unwrap().flatten().map(|entry| entry.path()).collect();
        all.sort_by_key(|path| std::fs::metadata(path).and_then(|m| m.created().or(m.modified())).unwrap());
        all
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.down();
        if std::thread::panicking() {
            eprintln!("---- nginx\n{}", self.log());
        }
    }
}
