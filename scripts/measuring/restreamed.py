"""Copies for other servers: whether a long one over TLS is the source to the packet, and what eight that fail do to live."""
import contextlib
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

from .away import wait_for
from .outage import nearest
from .programs import PROBES, WORK, copy_push, last_json, pattern, run, started
from .punctual import Punctual
from .rtmp_target import BrokenWay, RtmpTarget, Strange, free_port, stranger_certificate
from .server import Weir

STREAM = "show"
KEY = "live_0815_4711"
CLIP_S, FPS = 60, 30
LIVE_WITHIN_S, NAMED_WITHIN_S, WRITTEN_WITHIN_S = 20, 60, 15
# A keyframe every two seconds: a copy that begins with the newest one may miss so much of the source's beginning.
BEGINNING_PACKETS = {"v": 4 * FPS, "a": 4 * 48}
# Stamps are whole milliseconds in the file, on the way in and on the way out.
STAMP_STEP_MS, STAMP_SPAN_MS, OFFSET_MS, LATER_MAX_MS = 1.01, 3.01, 1.0, 10
QUIET = {"WEIR_TRANSCODE__THUMBNAIL_S": "0"}


def add(weir, **target):
    """Adds a target over the API; its id."""
    return weir.ask("POST", f"streams/{STREAM}/targets", {"key": KEY, **target})["id"]


def told(weir, identity):
    return weir.ask("GET", f"streams/{STREAM}/targets/{identity}")


def packets(file, track):
    """[(decode time in ms, size, MD5)] of one track."""
    said = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-copyts", "-i", file, "-map", f"0:{track}:0", "-c", "copy", "-f", "framemd5", "-"], check=True, capture_output=True, text=True).stdout
    scale = next(line for line in said.splitlines() if line.startswith("#tb 0:")).split()[-1].split("/")
    tick_ms = 1000 * int(scale[0]) / int(scale[1])
    rows = (line.split(",") for line in said.splitlines() if line and not line.startswith("#"))
    return [(int(row[1]) * tick_ms, *(cell.strip() for cell in row[4:6])) for row in rows]


def offsets(file, environment):
    """What the independent probe says of sound and picture in a file."""
    command = ["python3", PROBES / "av_sync_check.py", file, "--fps", FPS, "--loop", CLIP_S * FPS, "--json"]
    return last_json(run(command, 1800, environment)[1])


def marked(minutes, environment):
    """A clip whose pictures are counted, with a flash and a beep each second: a minute of pictures repeated, and one sound for all of
    it, as a repeated one has two frames of one time at each joint."""
    WORK.mkdir(parents=True, exist_ok=True)
    clip, mute, whole = WORK / "counted-60.mp4", WORK / "counted-60-mute.mp4", WORK / f"counted-{minutes:g}m-sound.mkv"
    if not clip.exists():
        run([PROBES / "make_sync_clip.sh", clip, CLIP_S, "1280x720", FPS, 2, 48000], 900, environment)
    if not whole.exists():
        beeps = f"aevalsrc='if(lt(mod(t,1),0.08),0.6*sin(2*PI*1000*t),0)':s=48000:d={60 * minutes}:c=stereo"
        ffmpeg = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
        coded = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "128k", "-t", 60 * minutes]
        for words in [["-i", clip, "-an", "-c", "copy", mute], ["-stream_loop", "-1", "-i", mute, "-f", "lavfi", "-i", beeps, *coded, whole]]:
            subprocess.run([str(word) for word in [*ffmpeg, *words]], check=True)
    return whole


def measure_push(minutes, environment):
    """Rows (what, figure, promise, met) of a copy of so many minutes over RTMPS to nginx-rtmp."""
    source = marked(minutes, environment)
    with RtmpTarget() as target, Weir(environment={**QUIET, **target.environment}) as weir:
        key = weir.add_stream(STREAM, "--ladder", "none")
        identity = add(weir, url=f"rtmps://localhost:{target.rtmps.rsplit(':', 1)[1]}/live")
        push = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", "flv", f"rtmp://{weir.rtmp}/live/{key}"]
        with started(push) as publisher:
            wait_for("the target to be live", LIVE_WITHIN_S, lambda: told(weir, identity)["state"] == "live")
            publisher.wait(60 * minutes + 60)
            last = told(weir, identity)
        wait_for("the copy's end", LIVE_WITHIN_S, lambda: told(weir, identity)["state"] == "idle")
        records = target.records()
        copy = records[-1]
        wait_for("the record's end", WRITTEN_WITHIN_S, lambda: packets(copy, "v")[-1][2] == packets(source, "v")[-1][2])
        figures, faults = [], [] if len(records) == 1 else [f"{len(records)} connections"]
        for track, missed_max in BEGINNING_PACKETS.items():
            ours, theirs = packets(source, track), packets(copy, track)
            end = ours[len(ours) - len(theirs):]
            unequal = sum(one[1:] != other[1:] for one, other in zip(end, theirs))
            shifts = [other[0] - one[0] for one, other in zip(end, theirs)]
            wander = max(shifts) - min(shifts)
            step = max(abs(after - before) for before, after in zip(shifts, shifts[1:]))
            kind = "pictures" if track == "v" else "sound"
            figures.append(f"{len(theirs)} of {len(ours)} packets of {kind}, {unequal} unequal; stamps against the source's: {step:.1f} ms from one to the next, {wander:.1f} ms in all")
            if len(ours) - len(theirs) > missed_max or unequal or step > STAMP_STEP_MS or wander > STAMP_SPAN_MS:
                faults.append(track)
        figure = "; ".join([*figures, f"{last['dropped_units']} dropped, {last['connects']} connection", *faults])
        yield "packets", figure, "every packet from the first keyframe on, stamps as the source's to the rounding (1 ms a step, 3 ms in all), one connection", not faults and last["dropped_units"] == 0
        sync = {name: offsets(file, environment) for name, file in (("source", source), ("copy", copy))}
        span = {name: (report.get("offset_ms") or {}) for name, report in sync.items()}
        figure = "; ".join(f"{name} {span[name].get('min')}..{span[name].get('max')} ms, lost {report.get('lost')}, doubled {report.get('duplicated')} of {report.get('frames')}" for name, report in sync.items())
        is_same = all(span["source"].get(end) is not None and abs(span["source"][end] - span["copy"].get(end, 1e9)) <= OFFSET_MS for end in ("min", "max"))
        yield "sound and picture", figure, f"the source's own, within {OFFSET_MS:g} ms, nothing lost or doubled", is_same and sync["copy"].get("lost") == 0


def measure_faults(minutes):
    """Rows (what, figure, promise, met) of eight targets that fail beside a good one, for so many minutes."""
    options = ("-g", "60", "-sc_threshold", "0", "-bf", "2", "-b:v", "6000k", "-minrate", "6000k", "-maxrate", "6000k", "-bufsize", "6000k", "-vf", "noise=alls=20:allf=t")
    clip = pattern("steady-6000k", 60, "1280x720", options=options)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(RtmpTarget())
        weir = stack.enter_context(Weir(environment={**QUIET, **target.environment}))
        mute, garbage = Strange(), Strange(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        stranger, listener = stranger_certificate(folder)
        for thing in (mute, garbage, listener):
            stack.callback(thing.close)
        stalled = stack.enter_context(BrokenWay(target.rtmp, "mute", 2_000_000))
        closed = stack.enter_context(BrokenWay(target.rtmp, "reset", 2_000_000))
        wanted = {
            "connection_refused": f"rtmp://127.0.0.1:{free_port()}/live",
            "no_such_host": "rtmp://nobody.invalid/live",
            "mute": f"rtmp://{mute.address}/live",
            "not_rtmp": f"rtmp://{garbage.address}/live",
            "closed_at_key": f"rtmp://{target.rtmp}/guarded",
            "tls_issuer": f"rtmps://localhost:{stranger}/live",
            "stalled": f"rtmp://{stalled.address}/taken",
            "closed": f"rtmp://{closed.address}/taken",
        }
        key = weir.add_stream(STREAM, "--ladder", "none")
        publisher = stack.enter_context(started(copy_push(clip, f"rtmp://{weir.rtmp}/live/{key}")))
        path = weir.wait_live(STREAM)[0][0]
        good = add(weir, url=f"rtmp://{target.rtmp}/live")
        wait_for("the good target", LIVE_WITHIN_S, lambda: told(weir, good)["state"] == "live")
        viewer = stack.enter_context(Punctual(weir, path))
        begun = time.time()
        time.sleep(60 * minutes)
        added = time.time()
        bad = {code: add(weir, url=url, name=code, key=f"{KEY}_{code}") for code, url in wanted.items()}
        seen, good_states = {code: set() for code in bad}, set()
        while time.time() < added + 60 * minutes:
            for code, identity in bad.items():
                seen[code].add((told(weir, identity)["fault"] or {}).get("code"))
            good_states.add(told(weir, good)["state"])
            time.sleep(1)
        ended = time.time()
        last = told(weir, good)
        is_connected = publisher.poll() is None
        metrics = {name: weir.metric(name) for name in ("weir_packager_gap_parts_total", "weir_session_lost_units_total")}
    # A server behind a line that stands still has the stream from before, and says so.
    also = {"stalled": {"in_use"}}
    strange = {code: sorted(codes - {None, code} - also.get(code, set())) for code, codes in seen.items()}
    wrong = {code: others or "not named" for code, others in strange.items() if others or code not in seen[code]}
    yield "words", f"{len(seen) - len(wrong)} of 8 named rightly and nothing else; {json.dumps(wrong)}", "each fault has its name", not wrong
    quiet, beside = viewer.between(begun, added), viewer.between(added, ended)
    later = nearest(0.99, beside) - nearest(0.99, quiet)
    figure = f"before p50 {statistics.median(quiet):.1f}, p99 {nearest(0.99, quiet):.1f} ms of {len(quiet)}; beside them p50 {statistics.median(beside):.1f}, p99 {nearest(0.99, beside):.1f} of {len(beside)}; {later:+.1f} ms"
    yield "delay of parts for a live viewer", f"{figure}; {len(viewer.troubles)} requests failed", f"p99 at most {LATER_MAX_MS} ms more", later <= LATER_MAX_MS and not viewer.troubles
    figure = f"good target {', '.join(sorted(good_states))}, {last['dropped_units']} dropped, {last['connects']} connection; publisher connected {is_connected}; {json.dumps(metrics)}"
    yield "the good target and live", figure, "live all the time, nothing dropped or lost", good_states == {"live"} and last["dropped_units"] == 0 and last["connects"] == 1 and is_connected and not any(metrics.values())
