//! Acts that must be impossible inside the sandbox. `weir worker sandbox-test` tries them inside, `weir worker
//! sandbox-test-open` outside, `weir worker sandbox-test-rtsp` where readers have UDP; a test compares, so that an act that
//! is impossible anyway proves nothing.

use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Pid, Signal};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

type Act = (&'static str, fn() -> io::Result<()>);

/// Name of an act and how to try it; `Ok` means that it worked.
const ACTS: &[Act] = &[
    ("read /etc/passwd", || fs::read("/etc/passwd").map(drop)),
    ("read /etc/shadow", || fs::read("/etc/shadow").map(drop)),
    ("list /", || fs::read_dir("/").map(drop)),
    ("list the home folder", || fs::read_dir(std::env::var("HOME").unwrap_or("/root".to_owned())).map(drop)),
    ("read the server's environment", || fs::read(format!("/proc/{}/environ", parent())).map(drop)),
    ("write the server's memory", || OpenOptions::new().write(true).open(format!("/proc/{}/mem", parent())).map(drop)),
    ("write a file in /tmp", || {
        let path = format!("/tmp/weir-sandbox-{}", std::process::id());
        let made = File::create(&path).map(drop);
        let _absent = fs::remove_file(path);
        made
    }),
    ("write a file in /var/tmp", || {
        let path = format!("/var/tmp/weir-sandbox-{}", std::process::id());
        let made = fs::write(&path, b"x");
        let _absent = fs::remove_file(path);
        made
    }),
    ("make a folder", || {
        let path = format!("/tmp/weir-sandbox-folder-{}", std::process::id());
        let made = fs::create_dir(&path);
        let _absent = fs::remove_dir(path);
        made
    }),
    ("open a TCP listener", || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
    ("open a UDP socket", || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
    ("open an IPv6 socket", || {
        rustix::net::socket(AddressFamily::INET6, SocketType::DGRAM, None).map(drop).map_err(io::Error::from)
    }),
    ("open a raw socket", || {
        let icmp = Some(rustix::net::ipproto::ICMP);
        rustix::net::socket(AddressFamily::INET, SocketType::RAW, icmp).map(drop).map_err(io::Error::from)
    }),
    ("open a netlink socket", || {
        rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop).map_err(io::Error::from)
    }),
    ("bind a local socket", || {
        let path = format!("/tmp/weir-sandbox-socket-{}", std::process::id());
        let made = UnixDatagram::bind(&path).map(drop);
        let _absent = fs::remove_file(path);
        made
    }),
    ("start a program", || Command::new("/bin/true").status().map(drop)),
    ("signal the server", || {
        let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
        rustix::process::kill_process(parent, Signal::CONT).map_err(io::Error::from)
    }),
    ("open a handle to the server", || {
        let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
        rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty()).map(drop).map_err(io::Error::from)
    }),
    ("change the root folder", || rustix::process::chroot("/").map_err(io::Error::from)),
    ("leave the namespaces", || {
        // SAFETY: only the UTS namespace (the host name) is left; no file table is touched.
        #[allow(unsafe_code)]
        let left = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUTS) };
        left.map_err(io::Error::from)
    }),
    ("mount a file system", || syscall(libc::SYS_fsopen, [c"tmpfs".as_ptr().addr(), 0])),
    ("look at performance counters", || {
        let mut attributes = [0u8; 128];
        attributes[0] = 1;
        attributes[4] = 128;
        syscall(libc::SYS_perf_event_open, [attributes.as_ptr().addr(), 0])
    }),
    ("catch page faults", || syscall(libc::SYS_userfaultfd, [1, 0])),
    ("make an I/O ring", || {
        let mut parameters = [0u8; 256];
        syscall(libc::SYS_io_uring_setup, [1, parameters.as_mut_ptr().addr()])
    }),
    ("ask for a kernel key", || syscall(libc::SYS_keyctl, [0, (-3isize) as usize])),
    ("write to more memory than it may hold", || map(6 << 30, libc::MAP_PRIVATE)),
    ("share more memory than it may hold", || map(10 << 30, libc::MAP_SHARED)),
];

fn parent() -> i32 {
    Pid::as_raw(rustix::process::getppid())
}

/// Asks for so many bytes of memory and gives them back untouched.
fn map(bytes: usize, kind: libc::c_int) -> io::Result<()> {
    let flags = kind | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the kernel chooses an unused place, and nothing refers to it before it is given back. A safe wrapper would
    // have to touch it.
    #[allow(unsafe_code)]
    unsafe {
        let place = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        libc::munmap(place, bytes);
    }
    Ok(())
}

fn syscall(number: libc::c_long, arguments: [usize; 2]) -> io::Result<()> {
    // SAFETY: the calls above take numbers and pointers to memory that lives as long as the call; those that give a
    // descriptor leave it to the end of this short process. No safe wrapper exists for them.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::syscall(number, arguments[0], arguments[1], -1isize, -1isize, 0usize) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Tries all acts and prints one line for each: `name: possible` or `name: refused (why)`.
pub(crate) fn run() {
    for (name, act) in ACTS {
        match act() {
            Ok(()) => println!("{name}: possible"),
            Err(e) => println!("{name}: refused ({e})"),
        }
    }
}
