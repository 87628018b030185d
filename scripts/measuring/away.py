"""One publisher lost and come back while four players watch: how long each picture stood, and whether the playlists were one
timeline all the while."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import time

from .playlists import Watch
from .programs import PROBES, copy_push, last_json, pattern, run, started
from .relay import Relay
from .server import Weir

LOSSES = ("fin", "rst", "mute")
PLAYERS = ("hlsjs", "shaka", "native", "vlc")
BEFORE_S = 10
AFTER_S = 25
# From the publisher's first media to its picture, beyond what a player was behind before: a probe of the tracks (2 s at most), a
# segment, and for who reads whole segments one more reload.
BACK_WITHIN_S = {"hlsjs": 4, "shaka": 4, "native": 8, "vlc": 8, "page": 4}
# No stall is excused any more when the publisher has been back for so long.
CALM_AFTER_S = 12
# How much further behind live a player may be at the end than before the loss. One that falls silent is missed after 4 s only,
# and who plays nearer to live than that has stood still by then.
LATER_MAX_S = {"fin": 3, "rst": 3, "mute": 4}
STALL_S = 0.1
FATAL = re.compile("^FATAL|media element")


def lose(how, publisher, link):
    """Loses a publisher: its process is killed (`fin`), its line is reset (`rst`), or nothing passes any more (`mute`)."""
    if how == "fin":
        publisher.send_signal(signal.SIGKILL)
    elif how == "rst":
        link.reset()
    else:
        link.mute()


def measure(how, gap_s):
    """(figure, faults) of one loss."""
    idrs = ("-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "2", "-b:v", "900k")
    clip = pattern("away-360p", 60, "640x360", fps=25, options=idrs)
    with Weir() as weir, Relay(weir.rtmp) as uplink, contextlib.ExitStack() as stack:
        key = weir.add_stream("show", "--ladder", "240p:300k,144p:150k")
        push = copy_push(clip, f"rtmp://{uplink.address}/live/{key}")
        publisher = stack.enter_context(started(push))
        weir.wait_live("show", segments=3)
        watch = stack.enter_context(Watch(weir, "show"))
        seconds = BEFORE_S + 5 + gap_s + AFTER_S
        lines = {name: stack.enter_context(Relay(weir.http)) for name in PLAYERS}
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(lines)))
        watching = {name: pool.submit(vlc if name == "vlc" else browser, name, line.address, seconds) for name, line in lines.items()}
        wait_for("every player", 40, lambda: all(line.first_at for line in lines.values()))
        time.sleep(BEFORE_S)
        lost_at = time.monotonic()
        link = uplink.links[-1]
        lose(how, publisher, link)
        time.sleep(gap_s)
        stack.enter_context(started(push))
        wait_for("the publisher's media", 20, lambda: uplink.links[-1] is not link and uplink.media_at)
        back_at = uplink.media_at
        reports = {name: future.result() for name, future in watching.items()}
        faults, facts = watch.judge()
    away_s = back_at - lost_at
    faults += judge_breaks(facts, away_s)
    said = []
    for name, report in reports.items():
        extra_s, own = judge_player(name, report, lines[name].first_at, lost_at, back_at, LATER_MAX_S[how])
        faults += [f"{name}: {fault}" for fault in own]
        said.append(f"{name} {'never' if extra_s is None else f'{extra_s:+.1f} s'}, {report['stalled_s']:.1f} s stalled")
    way = "gaps" if facts["gaps_s"] > away_s / 2 else "slate"
    figure = f"away {away_s:.1f} s as {way}, {facts['breaks']} discontinuities, {facts['polls']} polls of {facts['renditions']} renditions, numbers {facts['numbers']}"
    return f"{figure}; picture back after (beside the {away_s:.1f} s): {'; '.join(said)}" + (f"; FAULTS {len(faults)}: " + "; ".join(faults[:6]) if faults else ""), faults


def wait_for(what, patience_s, done):
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {patience_s} s")
        time.sleep(0.02)


def judge_breaks(facts, away_s):
    """DESIGN 8.6: with a slate exactly two discontinuities; with gaps none or one."""
    if facts["gaps_s"] > away_s / 2:
        return [] if facts["breaks"] <= 1 else [f"{facts['breaks']} discontinuities around gaps"]
    return [] if facts["breaks"] == 2 else [f"{facts['breaks']} discontinuities around a slate"]


def judge_player(name, report, first_at, lost_at, back_at, later_max_s):
    """(seconds that its picture stood longer than the publisher was away, faults). Times of a report count from `first_at`."""
    faults = list(report["errors"])
    if report["stood_s"] is None:
        return None, [*faults, "never showed a picture"]
    extra_s = report["stood_s"] - (back_at - lost_at)
    if extra_s > BACK_WITHIN_S[name]:
        faults.append(f"its picture stood for {report['stood_s']:.1f} s")
    lost, calm = lost_at - first_at, back_at - first_at + CALM_AFTER_S
    for at, seconds in report["stalls"]:
        # What starts with the player is judged elsewhere; the loss itself may take the picture away until the calm.
        if 4 < at < lost - 1:
            faults.append(f"stalled for {seconds:.1f} s before the loss")
        elif at + seconds > calm:
            faults.append(f"stalled for {seconds:.1f} s at {at - (back_at - first_at):.1f} s after the return")
    before, after = report["behind"](lost), report["behind"](None)
    if before is not None and after is not None and after - before > later_max_s:
        faults.append(f"{after:.1f} s behind at the end, {before:.1f} s before the loss")
    return extra_s, faults


def browser(player, address, seconds):
    """What one of the browser's players made of it."""
    # Shaka 5.2's low-latency mode stands 0.9 s behind live and runs dry on an encoded rung without any loss, so it would measure that.
    low = ["--lowlatency"] if player == "hlsjs" else []
    command = ["node", PROBES / "play_hls.mjs", f"http://{address}/live/show/index.m3u8", "--player", player, "--seconds", seconds]
    command += ["--picture-changes", "--max-stalls", 999, "--min-progress", 0, "--verbose", *low]
    _, out, said = run(command, seconds + 60)
    report = last_json(out)
    if not report:
        return empty(f"the probe failed: {said.strip()[-200:]}")
    samples = report.get("samples") or []
    stalls = [(stall["at"], stall["s"]) for stall in report.get("stalls") or [] if stall["s"] > STALL_S]

    def behind(at):
        """The median distance from the wall clock in the five seconds before `at`, or before the end."""
        at = at or (samples[-1][0] if samples else 0)
        near = sorted(sample[4] for sample in samples if at - 5 < sample[0] < at and sample[4] is not None)
        return near[len(near) // 2] if near else None

    return {
        "stood_s": (report.get("pictures") or {}).get("longest_same_s"),
        "stalls": stalls,
        "stalled_s": sum(s for _, s in stalls),
        "behind": behind,
        "errors": [error for error in report.get("errors") or [] if FATAL.search(error)] + (report.get("why") or []),
    }


def empty(error):
    return {"stood_s": None, "stalls": [], "stalled_s": 0, "behind": lambda _: None, "errors": [error]}


def vlc(_, address, seconds):
    """VLC with null outputs, asked four times a second how many pictures it has shown. It plays MPEG-TS: VLC 3 begins anew at
    a discontinuity and does not ask for an init section again, so fragmented MP4 ends there for it."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="weir-vlc-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    home.chmod(0o777)
    command = [*user, "vlc", "-I", "rc", "--rc-host", f"127.0.0.1:{port}", "--vout=dummy", "--aout=adummy", "--no-video-title-show"]
    command += ["--no-interact", f"http://{address}/live/show/ts.m3u8"]
    try:
        with started(command, {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}) as process:
            return shown_pictures(process, port, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def shown_pictures(process, port, seconds):
    """Reads VLC's counters for so long and gives what stood when. Times count from its first request, which is its start."""
    start = time.monotonic()
    remote = None
    while remote is None:
        try:
            remote = socket.create_connection(("127.0.0.1", port), 1)
        except OSError:
            if time.monotonic() - start > 15 or process.poll() is not None:
                return empty("VLC's remote control did not open")
            time.sleep(0.1)
    stands, shown, since, first = [], 0, None, None
    with remote:
        while (now := time.monotonic() - start) < seconds:
            count = asked(remote)
            if count is None:
                return empty("VLC ended")
            if count > shown:
                first = first or now
                if since is not None and now - since > 1:
                    stands.append((since, now - since))
                shown, since = count, now
            time.sleep(0.25)
    if first is None:
        return empty("VLC showed no picture")
    stands.append((since, now - since))
    longest = max(stood for _, stood in stands)
    # Its counters are a second old at times.
    stalls = [(at, stood) for at, stood in stands if stood > 2]
    return {"stood_s": longest, "stalls": stalls, "stalled_s": sum(s for _, s in stalls), "behind": lambda _: None, "errors": []}


def asked(remote):
    """Pictures shown so far, 0 when nothing plays; None when nobody answers any more."""
    said = b""
    try:
        remote.sendall(b"stats\n")
        remote.settimeout(10)
        # Each answer, and the greeting before the first, ends with a prompt.
        while not said.endswith(b"> "):
            data = remote.recv(4096)
            if not data:
                return None
            said += data
    except OSError:
        return None
    found = re.search(rb"frames displayed\s*:\s*(\d+)", said)
    return int(found[1]) if found else 0
