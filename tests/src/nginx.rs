//! A real nginx with its RTMP module, as another server that takes copies: it records what it is sent.

use crate::process::{Process, run, tool};
use crate::wait::eventually;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Ended and removed when dropped. Its application `live` records; `guarded` asks a door that says no to every key.
pub struct RtmpServer {
    process: Option<Process>,
    dir: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    http: SocketAddr,
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

impl RtmpServer {
    /// Starts one on free ports.
    ///
    /// # Panics
    /// When nginx or its module is not installed.
    #[track_caller]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { process: None, dir, address: free(), http: free() };
        server.up();
        server
    }

    /// Starts it (again) at the same address.
    ///
    /// # Panics
    /// When it does not listen.
    #[track_caller]
    pub fn up(&mut self) {
        let at = self.dir.path().display();
        std::fs::create_dir_all(self.dir.path().join("records")).expect("a folder");
        let as_root = run(tool("id"), ["-u"]).stdout.trim_ascii() == b"0";
        let (user, address, http) = (if as_root { "user root;" } else { "" }, self.address, self.http);
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; {user} daemon off; worker_processes 1;\n\
             pid {at}/pid; error_log {at}/error.log info; events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
               uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
               server {{ listen {http}; location / {{ return 404; }} }} }}\n\
             rtmp {{ access_log off; server {{ listen {address}; chunk_size 4096;\n\
               application live {{ live on; record all; record_path {at}/records; record_unique on; }}\n\
               application guarded {{ live on; on_publish http://{http}/; }} }} }}\n"
        );
        let file = self.dir.path().join("nginx.conf");
        std::fs::write(&file, config).expect("the temporary folder can be written");
        let mut command = Command::new(tool("nginx"));
        command.arg("-c").arg(&file).args(["-e", &format!("{at}/start.log")]);
        self.process = Some(Process::start("nginx", command));
        eventually("nginx listens", || TcpStream::connect(address).ok());
    }

    /// Ends it and its connections at once.
    pub fn down(&mut self) {
        if let Some(mut process) = self.process.take() {
            // The master ends its workers on SIGTERM; a plain kill would leave them.
            process.signal("TERM");
            let _ended = process.wait(Duration::from_secs(5));
        }
    }

    /// The address of one of its applications.
    pub fn url(&self, application: &str) -> String {
        format!("rtmp://{}/{application}", self.address)
    }

    /// Its recordings, the oldest first.
    ///
    /// # Panics
    /// When they can't be listed.
    pub fn records(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.dir.path().join("records")).expect("a folder");
        let mut all: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
        all.sort_by_key(|path| std::fs::metadata(path).and_then(|m| m.created().or(m.modified())).ok());
        all
    }

    /// How often somebody began to publish.
    pub fn publishes(&self) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("publish: name=")).count()
    }
}

impl Drop for RtmpServer {
    fn drop(&mut self) {
        self.down();
    }
}
