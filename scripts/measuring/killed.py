"""The server killed under a real OBS while players watch: OBS comes back by itself, numbers go on, players go on."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import tempfile
import time

from .away import browser, empty, judge_breaks, judge_player, wait_for
from .playlists import Watch
from .programs import PROBES, last_json, run, started
from .relay import Relay
from .server import ROOT, Weir

# Two pages are played besides: our own, and an empty one with hls.js.
PLAYERS = ("hlsjs", "shaka", "native", "page")
BEFORE_S = 10
# RestartSec of deploy/systemd/weir.service.
RESTART_S = 1
SERVED_WITHIN_S = 2
GONE = re.compile(r"shaka 1001 .*404")
AFTER_S = 30
# How much further behind live a player may be: who plays near to it stands still until there is a server again.
LATER_MAX_S = 4


def measure():
    """(figure, faults, {player: (figure, faults)}) of one kill."""
    with Weir() as weir, contextlib.ExitStack() as stack:
        key = weir.add_stream("show", "--ladder", "240p:300k,144p:150k")
        seconds = BEFORE_S + AFTER_S + 10
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-obs-")))
        env = {"OBS_KEYINT": "2", "OBS_SIZE": "640x360", "OBS_WORK": str(folder)}
        obs = stack.enter_context(started([PROBES / "obs_push.sh", weir.rtmp, "live", key, seconds + 60, 900], env))
        weir.wait_live("show", patience=120, segments=3)
        watch = stack.enter_context(Watch(weir, "show"))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(PLAYERS)))
        lines = {name: stack.enter_context(Relay(weir.http)) for name in PLAYERS}
        watching = {name: pool.submit(page if name == "page" else browser, name, line.address, seconds) for name, line in lines.items()}
        wait_for("every player", 40, lambda: all(line.first_at for line in lines.values()))
        time.sleep(BEFORE_S)
        lost_at, down = time.monotonic(), time.time()
        weir.kill()
        time.sleep(RESTART_S)
        weir.start_again()
        served_s = time.monotonic() - lost_at - RESTART_S
        watch.outage = (down, time.time())
        wait_for("OBS", 30, lambda: json.loads(weir.get("/api/v1/live/show") or b"{}").get("state") == "live")
        back_at = time.monotonic()
        reports = {name: future.result() for name, future in watching.items()}
        faults, facts = watch.judge()
        said_by_obs = (folder / "obs.log").read_text(errors="replace")
        if obs.poll() is not None:
            faults.append("OBS ended")
    connections = len(re.findall(r"Connection to \S+ successful", said_by_obs))
    if connections != 2:
        faults.append(f"OBS connected {connections} times")
    if served_s > SERVED_WITHIN_S:
        faults.append("it took too long to serve again")
    faults += judge_breaks(facts, back_at - lost_at)
    figure = f"served again {served_s:.2f} s after its start, OBS back by itself {back_at - lost_at:.1f} s after the kill, "
    figure += f"{facts['breaks']} discontinuities, numbers {facts['numbers']}"
    players = {}
    for name, report in reports.items():
        extra_s, own = judge_player(name, report, lines[name].first_at, lost_at, back_at, LATER_MAX_S)
        # Shaka says that a segment of the dead server's is not there, and tries the next by itself; its picture is judged.
        own = [fault for fault in own if not GONE.search(fault)]
        stood = "never showed a picture" if extra_s is None else f"its picture stood {report['stood_s']:.1f} s at most"
        players[name] = (stood + "".join(f"; {fault}" for fault in own[:4]), own)
    return figure + "".join(f"; {fault}" for fault in faults[:6]), faults, players


def page(_, address, seconds):
    """What our watch page made of it, by the second."""
    command = ["node", ROOT / "tests/browser/away.mjs", f"http://{address}/watch/show", "--seconds", seconds]
    _, out, said = run(command, seconds + 60)
    moved = last_json(out).get("moved")
    if not moved:
        return empty(f"the probe failed: {said.strip()[-200:]}")
    stalls, since = [], None
    for second, did in enumerate([*moved, True]):
        if not did and since is None:
            since = second
        elif did and since is not None:
            stalls.append((since, second - since))
            since = None
    longest = max((stood for _, stood in stalls), default=0)
    return {"stood_s": longest, "stalls": stalls, "stalled_s": sum(s for _, s in stalls), "behind": lambda _: None, "errors": []}
