//! The calls a worker may not make. A list of what is forbidden, not of what is allowed: decoders and encoders of many
//! distributions must work. Refused calls fail with EPERM and are seen by the caller as missing rights.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// Refused whatever the arguments: sockets, programs, other processes, mounts, kernel interfaces.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
    libc::SYS_personality,
];

/// Refused unless the first argument is this value: only signals to itself.
fn conditional() -> Vec<(libc::c_long, u64)> {
    let own = u64::from(std::process::id());
    vec![
        (libc::SYS_socketpair, libc::AF_UNIX as u64),
        (libc::SYS_kill, own),
        (libc::SYS_tgkill, own),
        (libc::SYS_tkill, own),
        (libc::SYS_rt_sigqueueinfo, own),
        (libc::SYS_rt_tgsigqueueinfo, own),
    ]
}

/// The bits of a socket's type that are no flags.
const TYPE_BITS: u64 = 0xf;

/// When a socket is refused: any but a local one and, with `datagrams`, one for UDP over IPv4 or IPv6.
fn sockets(datagrams: bool) -> Option<Vec<SeccompRule>> {
    let condition =
        |argument, operator, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).ok();
    let internet: &[libc::c_int] = if datagrams { &[libc::AF_INET, libc::AF_INET6] } else { &[] };
    let known = [libc::AF_UNIX].into_iter().chain(internet.iter().copied());
    let other = known.map(|family| condition(0, SeccompCmpOp::Ne, family as u64)).collect::<Option<Vec<_>>>()?;
    let mut rules = vec![SeccompRule::new(other).ok()?];
    for family in internet {
        for kind in (0..=TYPE_BITS).filter(|kind| *kind != libc::SOCK_DGRAM as u64) {
            let family = condition(0, SeccompCmpOp::Eq, *family as u64)?;
            let kind = condition(1, SeccompCmpOp::MaskedEq(TYPE_BITS), kind)?;
            rules.push(SeccompRule::new(vec![family, kind]).ok()?);
        }
        // Of the protocols over datagrams only UDP: no ICMP.
        let family = condition(0, SeccompCmpOp::Eq, *family as u64)?;
        let protocol = [0, libc::IPPROTO_UDP].map(|known| condition(2, SeccompCmpOp::Ne, known as u64));
        let conditions = [Some(family)].into_iter().chain(protocol).collect::<Option<Vec<_>>>()?;
        rules.push(SeccompRule::new(conditions).ok()?);
    }
    Some(rules)
}

/// Puts the filter on this process; `false` when the kernel has no seccomp or the architecture is unknown. With `datagrams` it
/// may make and bind UDP sockets.
pub(super) fn refuse(datagrams: bool) -> bool {
    let Some(program) = program(datagrams) else { return false };
    seccompiler::apply_filter_all_threads(&program).is_ok()
}

fn program(datagrams: bool) -> Option<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, allowed) in conditional() {
        let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, allowed).ok()?;
        rules.insert(call, vec![SeccompRule::new(vec![other]).ok()?]);
    }
    rules.insert(libc::SYS_socket, sockets(datagrams)?);
    if !datagrams {
        rules.insert(libc::SYS_bind, Vec::new());
    }
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into().ok()?).ok()?;
    filter.try_into().ok()
}
