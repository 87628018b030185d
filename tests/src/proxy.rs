//! A network between a publisher and the server that can stand still.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Passes one connection on, both ways.
pub struct Proxy {
    /// Where to connect.
    pub address: SocketAddr,
    is_still: Arc<AtomicBool>,
}

impl Proxy {
    /// A network to `server`.
    ///
    /// # Panics
    /// When no port of loopback is free.
    pub fn start(server: SocketAddr) -> Self {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = door.local_addr().expect("it is bound");
        let is_still = Arc::new(AtomicBool::new(false));
        let still = Arc::clone(&is_still);
        std::thread::spawn(move || {
            let (near, _) = door.accept().ok()?;
            let far = TcpStream::connect(server).ok()?;
            let (back_from, back_to) = (far.try_clone().ok()?, near.try_clone().ok()?);
            let other = Arc::clone(&still);
            std::thread::spawn(move || pass(back_from, back_to, &other));
            pass(near, far, &still);
            Some(())
        });
        Self { address, is_still }
    }

    /// Carries nothing for `time`, then all that waits as fast as it goes. Blocks meanwhile.
    pub fn stand_still(&self, time: Duration) {
        self.is_still.store(true, Ordering::Relaxed);
        std::thread::sleep(time);
        self.is_still.store(false, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_still: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        while is_still.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
