//! The sandbox a worker locks itself into before its first thread and before GStreamer starts.
//!
//! In this order: no other file descriptors, limits, its own user when started by root, no way to new privileges,
//! Landlock (files are readable below the library folders only, nothing is writable, no TCP, no signals and no abstract
//! sockets outwards) and seccomp (a list of calls answered with EPERM). Each layer is best effort, as kernels differ;
//! what stands is told in one line that `weir check` and the log show.
//!
//! A worker that serves readers may have one thing more, and has it only where an operator wants it: UDP sockets. It is
//! handed connections, and can make, take or accept none.

mod calls;
pub(crate) mod trial;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid};
use std::fmt;
use std::path::{Path, PathBuf};

/// Open files of a worker: the link, standard streams, and libraries while they load.
const FILES_MAX: u64 = 64;
/// The same of one that serves readers: each has a connection, eight sockets for datagrams and as many wake-up calls at most.
const READERS_FILES_MAX: u64 = 4_096;
/// What a worker may hold when nobody says otherwise, MiB.
pub(crate) const MEMORY_MIB: u64 = 1_024;
/// The kernel refuses a worker more writable memory than this per cent of what it may hold, and [`RESERVED`]: threads reserve
/// stacks that they never fill (393 MiB of a worker that held 277, 1080p with three rungs, 2026-11). A last stop for what
/// grows between two looks of the server's.
const RESERVED_PERCENT: u64 = 150;
const RESERVED: u64 = 256 << 20;
/// What one that serves readers may reserve beyond that for stacks of 8 MiB: 32 readers with two graphs each had 420 threads (measured
/// 2026-11), which are 3.3 GiB.
const READERS_STACKS: u64 = 4 << 30;
/// The same for all it maps: libraries (300 MiB), and memory it shares with nobody but could fill.
const MAPPED: u64 = 2 << 30;
/// When the machine is out of memory all the same, the kernel ends a worker before anything else: another one takes its
/// place, while the server's sessions would be lost.
const OOM_SCORE: &str = "800";
/// Threads of a worker: an encoder of a rung has up to a dozen.
const THREADS_MAX: u64 = 256;
/// The same of one that serves readers: each of 32 has up to ten (six with pictures alone), and as many again for a second graph, which
/// it has while it changes its session, or when it asks what there is once more (measured 2026-11).
const READERS_THREADS_MAX: u64 = 768;
/// First user id for workers started by root; the process id is added, so no two workers share one and nobody else does.
const FIRST_UID: u32 = 0x6000_0000;
/// `nobody`, where user ids that high are not mapped (user namespaces).
const NOBODY: u32 = 65_534;

/// What a worker has to be able to do beside reading libraries and talking to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// To open the device nodes of hardware encoders.
    Devices,
    /// To serve many readers, on connections it is handed and, with `datagrams`, on UDP sockets it makes.
    Readers {
        /// Readers may have UDP.
        datagrams: bool,
    },
}

impl Needs {
    fn devices(self) -> bool {
        self == Self::Devices
    }

    fn readers(self) -> bool {
        matches!(self, Self::Readers { .. })
    }

    fn datagrams(self) -> bool {
        self == Self::Readers { datagrams: true }
    }
}

/// What holds a worker in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Files and sockets are closed off by Landlock, fully or as far as this kernel can.
    pub landlock: Layer,
    /// Calls are refused by seccomp.
    pub seccomp: Layer,
    /// The worker runs as a user of its own. Only root can change it; else it runs as the server's user.
    pub user: Layer,
}

/// How far one layer of the sandbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// All of it.
    Full,
    /// Part of it: the kernel is too old for the rest.
    Partial,
    /// Not at all.
    Absent,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Absent => "absent",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "landlock {}, seccomp {}, own user {}", self.landlock, self.seccomp, self.user)
    }
}

/// Locks the calling process in; there is no way back. Must be called while it has one thread. What it `needs` stays open.
/// `memory_mib` is what the worker is to stay below.
pub(crate) fn enter(plugins: Option<&Path>, needs: Needs, memory_mib: u64) -> Status {
    close_other_files();
    let _no_proc = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let _no_parent_left = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let user = drop_user(needs);
    limit(user, needs, memory_mib);
    let _old_kernel = rustix::thread::set_no_new_privs(true);
    let landlock = landlock(plugins, needs.devices()).unwrap_or(Layer::Absent);
    let seccomp = if calls::refuse(needs.datagrams()) { Layer::Full } else { Layer::Absent };
    Status { landlock, seccomp, user }
}

fn close_other_files() {
    // SAFETY: the worker has just started and owns no descriptor but the three standard ones; no Rust object holds one
    // of those closed here. No safe call closes a range. Proven by `nothing_forbidden_works_inside`.
    #[allow(unsafe_code)]
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
}

fn limit(user: Layer, needs: Needs, memory_mib: u64) {
    let set = |resource, value| {
        let _refused = rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    };
    set(Resource::Core, 0);
    set(Resource::Nofile, if needs.readers() { READERS_FILES_MAX } else { FILES_MAX });
    set(Resource::Fsize, 0);
    let data = memory_mib.saturating_mul((1 << 20) / 100 * RESERVED_PERCENT).saturating_add(RESERVED);
    let data = if needs.readers() { data.saturating_add(READERS_STACKS) } else { data };
    set(Resource::Data, data);
    if !needs.devices() {
        // Drivers of graphics cards map the card's memory, and more than there is.
        set(Resource::As, data.saturating_add(MAPPED));
    }
    if user == Layer::Full {
        // Counted per user, so only with a user of its own.
        set(Resource::Nproc, if needs.readers() { READERS_THREADS_MAX } else { THREADS_MAX });
    }
}

/// Root becomes somebody without rights and, where allowed, without a network. Devices need the server's groups, so a
/// hardware worker keeps those. Datagrams reach nobody from a network of one's own, so who sends them keeps the server's.
fn drop_user(needs: Needs) -> Layer {
    if !rustix::process::geteuid().is_root() {
        return Layer::Absent;
    }
    let mut left = rustix::thread::UnshareFlags::NEWIPC;
    if !needs.datagrams() {
        left |= rustix::thread::UnshareFlags::NEWNET;
    }
    // SAFETY: only the network and IPC namespaces are left, never the file table, and this is the only thread.
    #[allow(unsafe_code)]
    let _not_allowed = unsafe { rustix::thread::unshare_unsafe(left) };
    let own = FIRST_UID.wrapping_add(std::process::id());
    for id in [own, NOBODY] {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        if !needs.devices()
            && (rustix::thread::set_thread_groups(&[]).is_err()
                || rustix::thread::set_thread_res_gid(gid, gid, gid).is_err())
        {
            continue;
        }
        if rustix::thread::set_thread_res_uid(uid, uid, uid).is_ok() {
            // The kernel clears the signal when credentials change.
            let _no_parent_left = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            return if id == own { Layer::Full } else { Layer::Partial };
        }
    }
    Layer::Absent
}

fn landlock(plugins: Option<&Path>, devices: bool) -> Option<Layer> {
    let abi = ABI::V6;
    let libraries =
        ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/sys/devices/system/cpu"];
    let mut readable: Vec<PathBuf> = libraries.iter().map(PathBuf::from).collect();
    readable.extend(plugins.map(Path::to_path_buf));
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .ok()?
        .handle_access(AccessNet::from_all(abi))
        .ok()?
        .scope(Scope::from_all(abi))
        .ok()?
        .create()
        .ok()?
        // Mapping a library needs no right to execute; starting a program would.
        .add_rules(path_beneath_rules(readable, AccessFs::ReadFile | AccessFs::ReadDir))
        .ok()?
        .add_rules(path_beneath_rules(["/dev/null", "/dev/urandom"], AccessFs::ReadFile | AccessFs::WriteFile))
        .ok()?;
    if devices {
        let nodes = ["/dev/dri", "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/video10", "/dev/video11"];
        ruleset = ruleset
            .add_rules(path_beneath_rules(
                nodes,
                AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev,
            ))
            .ok()?
            .add_rules(path_beneath_rules(
                ["/sys", "/usr/share/libdrm", "/etc/OpenCL", "/proc/driver"],
                AccessFs::ReadFile | AccessFs::ReadDir,
            ))
            .ok()?;
    }
    match ruleset.restrict_self().ok()?.ruleset {
        RulesetStatus::FullyEnforced => Some(Layer::Full),
        RulesetStatus::PartiallyEnforced => Some(Layer::Partial),
        RulesetStatus::NotEnforced => Some(Layer::Absent),
    }
}
