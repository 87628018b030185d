"""The server killed under a real OBS while players watch: OBS comes back by itself, numbers go on, players go on."""
import concurrent.futures
import contextlib
import pathlib
import re
import tempfile
import time

from .away import browser, judge_player, wait_for
from .playlists import Watch
from .programs import PROBES, started
from .relay import Relay
from .server import Weir

PLAYERS = ("hlsjs", "shaka", "native")
BEFORE_S = 10
# RestartSec of deploy/systemd/weir.service.
RESTART_S = 1
AFTER_S = 30
# A server that starts again has no picture to show for who is away: it lists gaps, and who plays near live waits for OBS.
LATER_MAX_S = 4


def measure():
    """(figure, faults) of one kill."""
    with Weir() as weir, Relay(weir.rtmp) as uplink, contextlib.ExitStack() as stack:
        key = weir.add_stream("show", "--ladder", "240p:300k,144p:150k")
        seconds = BEFORE_S + AFTER_S + 10
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-obs-")))
        env = {"OBS_KEYINT": "2", "OBS_SIZE": "640x360", "OBS_WORK": str(folder)}
        obs = stack.enter_context(started([PROBES / "obs_push.sh", uplink.address, "live", key, seconds + 60, 900], env))
        weir.wait_live("show", patience=120, segments=3)
        watch = stack.enter_context(Watch(weir, "show"))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(PLAYERS)))
        lines = {name: stack.enter_context(Relay(weir.http)) for name in PLAYERS}
        watching = {name: pool.submit(browser, name, line.address, seconds) for name, line in lines.items()}
        wait_for("every player", 40, lambda: all(line.first_at for line in lines.values()))
        time.sleep(BEFORE_S)
        lost_at, down = time.monotonic(), time.time()
        weir.kill()
        time.sleep(RESTART_S)
        weir.start_again()
        served_s = time.monotonic() - lost_at - RESTART_S
        watch.outage = (down, time.time())
        wait_for("OBS", 30, lambda: uplink.media_at and uplink.media_at > lost_at)
        back_at = uplink.media_at
        reports = {name: future.result() for name, future in watching.items()}
        faults, facts = watch.judge()
        said_by_obs = (folder / "obs.log").read_text(errors="replace")
        if obs.poll() is not None:
            faults.append("OBS ended")
    connections = len(re.findall(r"Connection to \S+ successful", said_by_obs))
    if connections != 2:
        faults.append(f"OBS connected {connections} times")
    if facts["breaks"] != 1:
        faults.append(f"{facts['breaks']} discontinuities")
    said = []
    for name, report in reports.items():
        extra_s, own = judge_player(name, report, lines[name].first_at, lost_at, back_at, LATER_MAX_S)
        faults += [f"{name}: {fault}" for fault in own]
        said.append(f"{name} {'never' if extra_s is None else f'{extra_s:+.1f} s'}, {report['stalled_s']:.1f} s stalled")
    figure = f"served again {served_s:.2f} s after its start, OBS back by itself {back_at - lost_at:.1f} s after the kill, {facts['breaks']} discontinuities, "
    figure += f"numbers {facts['numbers']}; picture back after (beside the time without OBS): {'; '.join(said)}"
    return figure + (f"; FAULTS {len(faults)}: " + "; ".join(faults[:6]) if faults else ""), faults
